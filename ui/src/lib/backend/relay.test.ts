import { afterEach, expect, test, vi } from "vitest";
import { BackendError } from "./backend";
import { openBackend } from "./open";
import { relayBackend } from "./relay";

const health = {
  status: "running",
  service: "deskhand-relay",
  connected_clients: 2,
  timestamp: "2026-11-20T11:00:00Z",
};

function relayAnswers(answer: () => Promise<Response>) {
  const fetch = vi.fn<(url: URL) => Promise<Response>>(answer);
  vi.stubGlobal("fetch", fetch);
  return fetch;
}

afterEach(() => vi.unstubAllGlobals());

test("health is asked of the relay that served the page", async () => {
  const fetch = relayAnswers(async () => Response.json(health));
  expect(await relayBackend("http://127.0.0.1:8765").health()).toEqual(health);
  expect(fetch.mock.lastCall?.[0].href).toBe("http://127.0.0.1:8765/health");
});

test.each([
  ["127.0.0.1:8765 does not answer", async () => Promise.reject(new TypeError("refused"))],
  ["127.0.0.1:8765 answered 503", async () => new Response("", { status: 503 })],
  ["127.0.0.1:8765 answered with something that is not JSON", async () => new Response("<p>")],
])("a failure says what happened: %s", async (message, answer) => {
  relayAnswers(answer);
  const asked = relayBackend("http://127.0.0.1:8765").health();
  await expect(asked).rejects.toEqual(new BackendError(message));
});

test("the desktop window has no relay behind it", () => {
  expect(openBackend(window)).not.toBeNull();
  expect(openBackend({ __TAURI_INTERNALS__: {} } as unknown as Window)).toBeNull();
});
