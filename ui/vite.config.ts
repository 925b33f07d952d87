import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

export default defineConfig(({ mode }) => ({
  plugins: [svelte({ configFile: false })],
  // Relative, because the page is served by a relay at any path and by the desktop window.
  base: "./",
  // The oldest web view the desktop application meets.
  build: { target: "safari15" },
  server: { port: 1420, strictPort: true, fs: { allow: [".."] } },
  // Tests mount components, which Svelte's server build cannot do.
  resolve: mode === "test" ? { conditions: ["browser"] } : {},
  test: { environment: "happy-dom" },
}));
