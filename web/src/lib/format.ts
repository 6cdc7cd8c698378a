const UNITS = ["B", "KB", "MB", "GB", "TB"];

/** Bytes for people, in powers of 1024: `239 KB`, `1.4 MB`. */
export function formatBytes(bytes: number): string {
  let amount = bytes;
  let unit = 0;
  while (amount >= 1024 && unit < UNITS.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  const digits = unit > 0 && amount < 9.95 ? 1 : 0;
  return `${amount.toFixed(digits)} ${UNITS[unit]}`;
}

/** A count with at least two digits (spec 14): `04`, `12`, `1,204`. */
export function formatCount(count: number): string {
  return count < 10 ? `0${count}` : count.toLocaleString("en-US");
}

const DAY = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short", year: "numeric" });
const MOMENT = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

/** The day, as in `03 May 2026`. */
export function formatDay(at: string): string {
  return DAY.format(new Date(at));
}

/** The day where there is little room: `03 May`, with the year unless it is this one. */
export function formatShortDay(at: string, now: Date = new Date()): string {
  const day = formatDay(at);
  return day.endsWith(String(now.getFullYear())) ? day.slice(0, -5) : day;
}

/** Day and time, to the second. */
export function formatMoment(at: string): string {
  return MOMENT.format(new Date(at));
}

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];
const AGO = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "short" });

/** How long ago, as in `5 min. ago`; the day itself after a week. */
export function formatAgo(at: string, now: number = Date.now()): string {
  const seconds = Math.max(0, (now - new Date(at).getTime()) / 1000);
  if (seconds >= 7 * 86_400) return formatDay(at);
  for (const [unit, length] of STEPS) {
    if (seconds >= length) return AGO.format(-Math.floor(seconds / length), unit);
  }
  return "just now";
}

/** A length of time as players show it: `0:07`, `1:02:09`. */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const [hours = 0, minutes = 0, rest = 0] = parts;
  const tail = `${String(minutes).padStart(hours > 0 ? 2 : 1, "0")}:${String(rest).padStart(2, "0")}`;
  return hours > 0 ? `${hours}:${tail}` : tail;
}

const FROM_NOW = new Intl.RelativeTimeFormat("en", { numeric: "always" });

/** How long until then, as in `in 29 days`. */
export function formatUntil(at: string, now: number = Date.now()): string {
  const seconds = Math.max(0, (new Date(at).getTime() - now) / 1000);
  for (const [unit, length] of STEPS) {
    if (seconds >= length) return FROM_NOW.format(Math.floor(seconds / length), unit);
  }
  return "in a moment";
}
