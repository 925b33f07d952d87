import assert from "node:assert/strict";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

import { CHROMIUM, startProxy, startRelay } from "./harness.js";

const skip = fs.existsSync(CHROMIUM) ? false : `${CHROMIUM} is not installed`;

let server;
let browser;
before(async () => {
  if (skip) return;
  server = await startRelay();
  browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

for (const [way, blocked] of [
  ["websocket", {}],
  ["sse", { webSockets: false }],
  ["poll", { webSockets: false, streams: false }],
]) {
  test(`Chromium follows a timeline over ${way}`, { skip }, async () => {
    const proxy = await startProxy(server.url, blocked);
    const page = await browser.newPage();
    await page.goto(proxy.url);
    const heard = await page.evaluate(
      async ({ key, way }) => {
        const { Relay } = await import("/client.js");
        const relay = new Relay({ key, source: "viewer" });
        const names = [];
        await new Promise((resolve) => {
          const watch = relay.watch("desk", {
            filters: { status: "completed", source: "viewer" },
            pollEvery: 50,
            onEntry: (entry) => {
              names.push(entry.task_id);
              if (entry.task_id === `${way}-2`) {
                names.push(watch.way);
                watch.close();
                resolve();
              }
            },
            onState: async (state) => {
              if (state !== "connected") return;
              for (let n = 0; n < 3; n += 1) {
                await relay.submit({ task_id: `${way}-${n}`, action: { type: "echo", text: "x" } });
              }
            },
          });
        });
        return names.filter((name) => name.startsWith(way));
      },
      { key: server.key, way },
    );
    assert.deepEqual(heard, [`${way}-0`, `${way}-1`, `${way}-2`, way]);
    await page.close();
    proxy.stop();
  });
}
