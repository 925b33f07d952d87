import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** Most JavaScript that is loaded before something is seen, compressed, in bytes. */
const FIRST_PAINT_BYTES = 60_000;

/** Files shorter than this gain nothing by being compressed. */
const WORTH_COMPRESSING = 1_000;

/**
 * Puts a compressed copy beside each file, which the relay serves as it is, and refuses a build whose
 * first page has become too heavy: heavy views are loaded when they are opened.
 */
function compressed(): Plugin {
  return {
    name: "deskhand-compressed",
    apply: "build",
    writeBundle({ dir }, bundle) {
      if (dir === undefined) throw new Error("the viewer is built into a folder");
      const sizes = new Map<string, number>();
      for (const name of Object.keys(bundle)) {
        const content = readFileSync(join(dir, name));
        const zipped = gzipSync(content, { level: 9 });
        sizes.set(name, zipped.length);
        if (content.length >= WORTH_COMPRESSING) writeFileSync(join(dir, `${name}.gz`), zipped);
      }
      const first = new Set<string>();
      const add = (name: string) => {
        const chunk = bundle[name];
        if (chunk?.type !== "chunk" || first.has(name)) return;
        first.add(name);
        chunk.imports.forEach(add);
      };
      for (const chunk of Object.values(bundle)) {
        if (chunk.type === "chunk" && chunk.isEntry) add(chunk.fileName);
      }
      const total = [...first].reduce((sum, name) => sum + (sizes.get(name) ?? 0), 0);
      if (total > FIRST_PAINT_BYTES) {
        throw new Error(`JavaScript to first paint is ${total} bytes, more than ${FIRST_PAINT_BYTES}`);
      }
      console.log(`JavaScript to first paint: ${total} of ${FIRST_PAINT_BYTES} bytes, compressed`);
    },
  };
}

export default defineConfig(({ mode }) => ({
  plugins: [svelte({ configFile: false }), compressed()],
  // Relative, because the page is served by a relay at any path and by the desktop window.
  base: "./",
  // The oldest web view the desktop application meets.
  build: { target: "safari15" },
  server: { port: 1420, strictPort: true, fs: { allow: [".."] } },
  // Tests mount components, which Svelte's server build cannot do.
  resolve: mode === "test" ? { conditions: ["browser"] } : {},
  test: { environment: "happy-dom" },
}));
