import { fileURLToPath } from "node:url";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react(), tailwindcss()],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  build: { target: "es2023", emptyOutDir: true, assetsInlineLimit: 0, chunkSizeWarningLimit: 600 },
  // `npm run dev` beside a running `./dev up`.
  server: { proxy: { "/api": "http://127.0.0.1:3000" } },
});
