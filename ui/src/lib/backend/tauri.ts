// The viewer in the desktop window. The desktop offers one command, `request`, and one event,
// `deskhand://live`; README.md says what it answers.

import type {
  DeviceRequest,
  DeviceResponse,
  DeviceView,
  PairingCode,
  Problem,
  RelayRequest,
  RelayResponse,
  SessionView,
  TaskRequest,
  TaskView,
} from "../protocol";
import { type Backend, BackendError, type Connection, type LiveEvent } from "./backend";

/** What the command `request` takes. */
type WindowRequest =
  | { to: "session" }
  | { to: "devices" }
  | { to: "device"; device: string; request: DeviceRequest }
  | { to: "relay"; request: RelayRequest }
  | { to: "submit"; request: TaskRequest }
  | { to: "cancel"; uid: string }
  | { to: "remove_device"; device: string }
  | { to: "follow"; device: string };

/** What the event carries. */
type Live = { event: LiveEvent } | { connection: Connection };

/** The part of the desktop's bridge that is used: it is there before the page is. */
interface Bridge {
  core: { invoke<Answer>(command: string, args: Record<string, unknown>): Promise<Answer> };
  event: {
    listen<Payload>(name: string, hear: (event: { payload: Payload }) => void): Promise<() => void>;
  };
}

export function tauriBackend(): Backend {
  const bridge = (window as unknown as { __TAURI__: Bridge }).__TAURI__;
  const call = async <Answer>(request: WindowRequest): Promise<Answer> => {
    try {
      return await bridge.core.invoke<Answer>("request", { request });
    } catch (error) {
      const problem = error as Problem;
      throw new BackendError(problem.error ?? String(error), problem.code, problem.hint ?? null);
    }
  };
  return {
    kind: "window",
    session: () => call<SessionView>({ to: "session" }),
    signIn: () => call<SessionView>({ to: "session" }),
    signOut: () => Promise.resolve(),
    devices: () => call<DeviceView[]>({ to: "devices" }),
    request: (device, request) => call<DeviceResponse>({ to: "device", device, request }),
    relay: (request) => call<RelayResponse>({ to: "relay", request }),
    submit: (request) => call<TaskView>({ to: "submit", request }),
    cancel: (uid) => call<void>({ to: "cancel", uid }),
    removeDevice: (device) => call<void>({ to: "remove_device", device }),
    pairingCode: async () => {
      const answer = await call<RelayResponse>({
        to: "relay",
        request: { type: "create_pairing_code" },
      });
      if (answer.type !== "pairing_code") throw new BackendError("the relay made no code");
      return answer as PairingCode;
    },
    follow: (device, listener) => {
      const follow = () => void call<void>({ to: "follow", device }).catch(() => undefined);
      const heard = bridge.event.listen<Live>("deskhand://live", ({ payload }) => {
        if ("event" in payload) listener.event(payload.event);
        else listener.connection(payload.connection);
      });
      listener.connection({ state: "connecting" });
      void heard.then(follow);
      return { retry: follow, stop: () => void heard.then((stop) => stop()) };
    },
  };
}
