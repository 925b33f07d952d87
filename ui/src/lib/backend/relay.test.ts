import { afterEach, expect, test, vi } from "vitest";
import { BackendError } from "./backend";
import { openBackend } from "./open";
import { relayBackend } from "./relay";
import { longestWaitMs } from "./timeline";

const ORIGIN = "http://127.0.0.1:8765";

function relayAnswers(answer: () => Promise<Response>) {
  const fetch = vi.fn<(url: URL, init: RequestInit) => Promise<Response>>(answer);
  vi.stubGlobal("fetch", fetch);
  return fetch;
}

afterEach(() => vi.unstubAllGlobals());

test("a device is asked through the relay that served the page", async () => {
  const fetch = relayAnswers(async () => Response.json({ type: "workspaces", workspaces: [] }));
  const answer = await relayBackend(ORIGIN).request("a/b", { type: "list_workspaces" });
  expect(answer).toEqual({ type: "workspaces", workspaces: [] });
  const [url, init] = fetch.mock.lastCall ?? [];
  expect(url?.href).toBe("http://127.0.0.1:8765/api/device-requests/a%2Fb");
  expect(init?.body).toBe('{"type":"list_workspaces"}');
});

test.each([
  ["127.0.0.1:8765 does not answer", async () => Promise.reject(new TypeError("refused"))],
  ["127.0.0.1:8765 answered 502", async () => new Response("<p>", { status: 502 })],
  ["127.0.0.1:8765 answered with something that is not JSON", async () => new Response("<p>")],
])("a failure says what happened: %s", async (message, answer) => {
  relayAnswers(answer);
  const asked = relayBackend(ORIGIN).devices();
  await expect(asked).rejects.toEqual(new BackendError(message));
});

test("a problem keeps its code and its hint", async () => {
  const problem = { error: "the device is offline", code: "device_offline", hint: "start it" };
  relayAnswers(async () => Response.json(problem, { status: 503 }));
  const asked = relayBackend(ORIGIN).request("desk", { type: "status" });
  await expect(asked).rejects.toMatchObject({ code: "device_offline", hint: "start it" });
});

test("what changes the owner's rules is not asked from a browser", async () => {
  const asked = relayBackend(ORIGIN).relay({ type: "list_keys" });
  await expect(asked).rejects.toMatchObject({ code: "local_only" });
});

test("a page that no application holds talks to its relay", async () => {
  expect((await openBackend(window)).kind).toBe("browser");
});

test("who watches is back within five seconds of the relay's return, unless it was away for long", () => {
  const waits = Array.from({ length: 30 }, (_, attempt) => longestWaitMs(attempt + 1, 60_000));
  expect(waits.slice(0, 5)).toEqual([250, 500, 1_000, 2_000, 4_000]);
  expect(Math.max(...waits)).toBeLessThan(5_000);
  expect(longestWaitMs(30, 600_000)).toBe(15_000);
});
