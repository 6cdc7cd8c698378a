/** ThumbHash (evanw.github.io/thumbhash): about 25 bytes that say what a picture roughly looks like. */

/** Enough for something that is shown blurred. */
const LONGEST = 16;

export interface Pixels {
  width: number;
  height: number;
  rgba: Uint8ClampedArray<ArrayBuffer>;
}

/** The picture that a hash stands for; null when it is none. */
export function pixelsOf(hash: Uint8Array): Pixels | null {
  if (hash.length < 5) return null;
  const at = (index: number) => hash[index] ?? 0;
  const head = at(0) | (at(1) << 8) | (at(2) << 16);
  const tail = at(3) | (at(4) << 8);
  const alpha = head >> 23 !== 0;
  const landscape = tail >> 15 !== 0;
  const longer = alpha ? 5 : 7;
  const shorter = tail & 7;
  const ratio = landscape ? longer / Math.max(1, shorter) : Math.max(1, shorter) / longer;
  const columns = Math.max(3, landscape ? longer : shorter);
  const rows = Math.max(3, landscape ? shorter : longer);

  let place = (alpha ? 6 : 5) * 2;
  const waves = (nx: number, ny: number, scale: number) => {
    const factors: number[] = [];
    for (let y = 0; y < ny; y += 1) {
      for (let x = y > 0 ? 0 : 1; x * ny < nx * (ny - y); x += 1) {
        const nibble = (at(place >> 1) >> ((place & 1) << 2)) & 15;
        factors.push((nibble / 7.5 - 1) * scale);
        place += 1;
      }
    }
    return { nx, ny, factors };
  };
  const channels = [
    { mean: (head & 63) / 63, ...waves(columns, rows, ((head >> 18) & 31) / 31) },
    { mean: ((head >> 6) & 63) / 31.5 - 1, ...waves(3, 3, (((tail >> 3) & 63) / 63) * 1.25) },
    { mean: ((head >> 12) & 63) / 31.5 - 1, ...waves(3, 3, (((tail >> 9) & 63) / 63) * 1.25) },
  ];
  if (alpha) channels.push({ mean: (at(5) & 15) / 15, ...waves(5, 5, (at(5) >> 4) / 15) });

  const width = Math.max(1, Math.round(ratio > 1 ? LONGEST : LONGEST * ratio));
  const height = Math.max(1, Math.round(ratio > 1 ? LONGEST / ratio : LONGEST));
  const across = cosines(width, Math.max(columns, longer));
  const down = cosines(height, Math.max(rows, longer));
  const rgba = new Uint8ClampedArray(width * height * 4);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const [light = 0, p = 0, q = 0, a = 1] = channels.map(({ mean, nx, ny, factors }) => {
        let value = mean;
        let index = 0;
        for (let cy = 0; cy < ny; cy += 1) {
          for (let cx = cy > 0 ? 0 : 1; cx * ny < nx * (ny - cy); cx += 1) {
            value += (factors[index] ?? 0) * (across[x]?.[cx] ?? 0) * (down[y]?.[cy] ?? 0) * 2;
            index += 1;
          }
        }
        return value;
      });
      const blue = light - (2 / 3) * p;
      const red = (3 * light - blue + q) / 2;
      rgba.set([red * 255, (red - q) * 255, blue * 255, a * 255], (y * width + x) * 4);
    }
  }
  return { width, height, rgba };
}

function cosines(length: number, count: number): number[][] {
  return Array.from({ length }, (_, x) =>
    Array.from({ length: count }, (_, wave) => Math.cos((Math.PI / length) * (x + 0.5) * wave)),
  );
}

const known = new Map<string, string | null>();
const MOST_KNOWN = 2_000;

/** A hash in base64 as a picture for `background-image`; null when it is none. */
export function placeholderUrl(base64: string): string | null {
  const kept = known.get(base64);
  if (kept !== undefined) return kept;
  if (known.size >= MOST_KNOWN) known.clear();
  const url = drawn(base64);
  known.set(base64, url);
  return url;
}

function drawn(base64: string): string | null {
  try {
    const pixels = pixelsOf(Uint8Array.from(atob(base64), (one) => one.charCodeAt(0)));
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d");
    if (!pixels || !context) return null;
    canvas.width = pixels.width;
    canvas.height = pixels.height;
    context.putImageData(new ImageData(pixels.rgba, pixels.width, pixels.height), 0, 0);
    return canvas.toDataURL();
  } catch {
    return null;
  }
}
