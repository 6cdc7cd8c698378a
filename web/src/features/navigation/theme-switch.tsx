import { Moon, Sun } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/ui/button";

export function ThemeSwitch() {
  const [dark, setDark] = useState(() => document.documentElement.classList.contains("dark"));
  const change = () => {
    document.documentElement.classList.toggle("dark", !dark);
    localStorage.setItem("theme", dark ? "light" : "dark");
    setDark(!dark);
  };
  return (
    <Button
      variant="ghost"
      size="icon"
      aria-label={dark ? "Use the light theme" : "Use the dark theme"}
      onClick={change}
    >
      {dark ? <Sun /> : <Moon />}
    </Button>
  );
}
