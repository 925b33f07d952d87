// The viewer in a browser: talks HTTP to the relay that served it.

import type { Health } from "../protocol";
import { type Backend, BackendError } from "./backend";

/** How long the relay may take to say how it is. */
const HEALTH_TIMEOUT_MS = 5_000;

export function relayBackend(origin: string): Backend {
  return {
    health: () => getJson<Health>(new URL("/health", origin), HEALTH_TIMEOUT_MS),
  };
}

async function getJson<Body>(url: URL, timeoutMs: number): Promise<Body> {
  let response: Response;
  try {
    const headers = { accept: "application/json" };
    response = await fetch(url, { headers, signal: AbortSignal.timeout(timeoutMs) });
  } catch {
    throw new BackendError(`${url.host} does not answer`);
  }
  if (!response.ok) throw new BackendError(`${url.host} answered ${response.status}`);
  try {
    return (await response.json()) as Body;
  } catch {
    throw new BackendError(`${url.host} answered with something that is not JSON`);
  }
}
