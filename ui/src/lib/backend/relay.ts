// The viewer in a browser: talks HTTP and a WebSocket to the relay that served it. The cookie of the
// session goes with every request by itself.

import type {
  CallerView,
  DeviceRequest,
  DeviceResponse,
  DeviceView,
  PairingCode,
  Problem,
  SessionView,
  TaskRequest,
  TaskView,
} from "../protocol";
import { type Backend, BackendError } from "./backend";
import { followTimeline } from "./timeline";

/** How long the relay may take to answer. */
const ANSWER_WITHIN_MS = 15_000;

export function relayBackend(origin: string): Backend {
  const call = <Body>(method: string, path: string, body?: unknown) =>
    ask<Body>(new URL(path, origin), method, body);
  const device = (name: string) => encodeURIComponent(name);
  return {
    kind: "browser",
    session: () => call<SessionView>("GET", "/api/session"),
    signIn: (by) => call<SessionView>("POST", "/api/session", by),
    signOut: () => call<void>("DELETE", "/api/session"),
    devices: async () => (await call<{ devices: DeviceView[] }>("GET", "/api/devices")).devices,
    shows: () => true,
    request: (name: string, request: DeviceRequest) =>
      call<DeviceResponse>("POST", `/api/device-requests/${device(name)}`, request),
    relay: localOnly,
    chooseFolder: localOnly,
    submit: (request: TaskRequest) => call<TaskView>("POST", "/api/tasks", request),
    cancel: (uid) => call<void>("POST", `/api/tasks/${uid}/cancel`),
    answer: ({ task_id, digest }, answer) =>
      call<void>("POST", `/api/tasks/${task_id}/approval`, { answer, digest }),
    pairingCode: () => call<PairingCode>("POST", "/api/pairing-codes"),
    callers: async () => (await call<{ callers: CallerView[] }>("GET", "/api/callers")).callers,
    endCaller: (caller) => call<void>("DELETE", `/api/callers/${device(caller)}`),
    pause: (name, paused) =>
      call<void>("POST", `/api/devices/${device(name)}/${paused ? "pause" : "resume"}`),
    removeDevice: (name) => call<void>("DELETE", `/api/devices/${device(name)}`),
    follow: (name, listener) =>
      followTimeline(origin, name, listener, async () => {
        const made = await call<{ ticket: string }>("POST", "/api/stream-tickets");
        return made.ticket;
      }),
  };
}

function localOnly(): Promise<never> {
  return Promise.reject(new BackendError("This is done on the computer itself.", "local_only"));
}

async function ask<Body>(url: URL, method: string, body: unknown): Promise<Body> {
  let response: Response;
  try {
    const headers: Record<string, string> = { accept: "application/json" };
    if (body !== undefined) headers["content-type"] = "application/json";
    response = await fetch(url, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
  } catch {
    throw new BackendError(`${url.host} does not answer`);
  }
  if (response.status === 204) return undefined as Body;
  const read: unknown = await response.json().catch(() => null);
  if (!response.ok) throw problemOf(read, `${url.host} answered ${response.status}`);
  if (read === null) {
    throw new BackendError(`${url.host} answered with something that is not JSON`);
  }
  return read as Body;
}

function problemOf(body: unknown, otherwise: string): BackendError {
  const problem = body as Partial<Problem> | null;
  if (typeof problem?.error !== "string" || typeof problem.code !== "string") {
    return new BackendError(otherwise);
  }
  return new BackendError(problem.error, problem.code, problem.hint ?? null);
}
