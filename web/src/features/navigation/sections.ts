import {
  Images,
  type LucideIcon,
  MessageCircle,
  Newspaper,
  PenLine,
  Share2,
  ShoppingBag,
} from "lucide-react";
import type { Permission } from "@/features/session/session";

export interface Section {
  title: string;
  icon: LucideIcon;
  status: "stable" | "coming_soon";
  pages: {
    title: string;
    to: "/dashboard/media" | "/dashboard/media/files" | "/dashboard/media/bin" | "/blog/editor";
    /** Only for those who may. */
    needs?: Permission;
  }[];
}

/** The sidebar (spec 12.3). */
export const SECTIONS: readonly Section[] = [
  {
    title: "Media",
    icon: Images,
    status: "stable",
    pages: [
      { title: "Overview", to: "/dashboard/media" },
      { title: "Library", to: "/dashboard/media/files" },
      { title: "Bin", to: "/dashboard/media/bin", needs: "media:files.write" },
    ],
  },
  { title: "Blog", icon: PenLine, status: "coming_soon", pages: [] },
  { title: "Content Engine", icon: Share2, status: "coming_soon", pages: [] },
  { title: "Newsletter", icon: Newspaper, status: "coming_soon", pages: [] },
  { title: "AI Chatbot", icon: MessageCircle, status: "coming_soon", pages: [] },
  { title: "Store", icon: ShoppingBag, status: "coming_soon", pages: [] },
  {
    title: "Demo",
    icon: PenLine,
    status: "stable",
    pages: [{ title: "Blog editor", to: "/blog/editor" }],
  },
];
