import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import WebSocket from "ws";

import { longestWait, Relay } from "../index.js";
import { eventually, startProxy, startRelay } from "./harness.js";

let server;
before(async () => {
  server = await startRelay();
});
after(() => server.stop());

const echo = (name) => ({ task_id: name, action: { type: "echo", text: "x" } });

/** Watches and collects the names of tasks that completed. */
function collect(relay, options = {}) {
  const seen = { names: [], cursors: [], states: [], gaps: [], warnings: [] };
  seen.watch = relay.watch("desk", {
    WebSocket,
    filters: { status: "completed" },
    onEntry: (entry) => {
      seen.names.push(entry.task_id);
      seen.cursors.push(entry.cursor);
    },
    onState: (state) => seen.states.push(state),
    onGap: (gap) => seen.gaps.push(gap),
    onWarning: (text) => seen.warnings.push(text),
    ...options,
  });
  return seen;
}

const connected = (seen) => eventually("it is connected", () => seen.watch.state === "connected");

test("it hears what happens and knows how far away the relay is", async () => {
  const relay = new Relay(server);
  const seen = collect(relay, { pingEvery: 50 });
  await connected(seen);
  await relay.submit(echo("heard"));
  await eventually("the end is heard", () => seen.names.includes("heard"));
  await eventually("a beat was answered", () => seen.watch.latency !== undefined);
  assert.equal(seen.watch.way, "websocket");
  assert.equal(seen.watch.cursor, seen.cursors.at(-1));
  seen.watch.close();
  assert.equal(seen.watch.state, "closed");
  assert.deepEqual(seen.states, ["connected", "closed"]);
});

test("who watches is back within five seconds of the relay, unless it was away for long", () => {
  assert.deepEqual([0, 1, 2, 3].map((tries) => longestWait(tries, 0)), [250, 500, 1_000, 2_000]);
  assert.equal(longestWait(1_000, 299_999), 4_000);
  assert.equal(longestWait(1_000, 300_000), 30_000);
});

test("it comes back when the relay does, and misses nothing", async () => {
  const relay = new Relay({ ...server, onWarning: () => {} });
  const seen = collect(relay);
  await connected(seen);
  const expected = [];
  for (let n = 0; n < 6; n += 1) {
    const name = `back-${n}`;
    expected.push(name);
    if (n % 2 === 1) {
      await server.kill();
      const submitted = relay.submit(echo(name));
      await server.startAgain();
      await submitted;
    } else {
      await relay.submit(echo(name));
    }
    await eventually("it has ended", async () => {
      const task = await relay.task(name).catch(() => undefined);
      return task?.status === "completed";
    });
  }
  await eventually("all are heard", () => seen.names.includes("back-5"));
  assert.deepEqual(seen.names.filter((name) => name.startsWith("back-")), expected);
  assert.equal(new Set(seen.cursors).size, seen.cursors.length);
  assert.ok(seen.states.includes("reconnecting"));
  seen.watch.close();

  const later = collect(relay, { cursor: seen.cursors.at(-2) });
  await eventually("the rest is heard", () => later.names.length > 0);
  assert.deepEqual(later.names, ["back-5"]);
  later.watch.close();
});

test("a hundred tasks wait for a relay that is away, and no more", async () => {
  const warnings = [];
  const relay = new Relay({ ...server, onWarning: (text) => warnings.push(text) });
  await server.kill();
  const submitted = [];
  for (let n = 0; n < 100; n += 1) submitted.push(relay.submit(echo(`queued-${n}`)));
  assert.equal(relay.queued, 100);
  await assert.rejects(relay.submit(echo("too-many")), /wait for the relay already/);
  await eventually("it was warned of", () => warnings.some((text) => text.includes("is away")));
  await server.startAgain();
  const views = await Promise.all(submitted);
  assert.deepEqual(views.map((view) => view.task_id), views.map((_, n) => `queued-${n}`));
  assert.equal(relay.queued, 0);
});

test("a cursor of another log is a gap", async () => {
  for (const way of ["websocket", "sse", "poll"]) {
    const seen = collect(new Relay(server), { cursor: "elsewhere:5", ways: [way] });
    await eventually("the gap is told", () => seen.gaps.length > 0);
    assert.equal(seen.gaps[0].lost, true, way);
    await eventually("a snapshot follows", () => seen.names.length > 0);
    seen.watch.close();
  }
});

for (const [way, blocked] of [
  ["sse", { webSockets: false }],
  ["poll", { webSockets: false, streams: false }],
]) {
  test(`where it must, it falls back to ${way}`, async () => {
    const proxy = await startProxy(server.url, blocked);
    const relay = new Relay({ url: proxy.url, key: server.key });
    const seen = collect(relay, { pollEvery: 50 });
    await connected(seen);
    assert.equal(seen.watch.way, way);
    assert.ok(seen.warnings.length > 0);
    for (let n = 0; n < 5; n += 1) await relay.submit(echo(`${way}-${n}`));
    await eventually("all are heard", () => seen.names.includes(`${way}-4`));
    assert.deepEqual(
      seen.names.filter((name) => name.startsWith(`${way}-`)),
      [0, 1, 2, 3, 4].map((n) => `${way}-${n}`),
    );
    seen.watch.close();
    proxy.stop();
  });
}

test("who may not watch is told so", async () => {
  const errors = [];
  const seen = collect(new Relay({ url: server.url, key: "dh_a_b" }), {
    onError: (error) => errors.push(error),
  });
  await eventually("it gives up", () => seen.watch.state === "closed");
  assert.equal(errors[0].status, 401);
  assert.equal(errors[0].code, "unauthorized");
});
