// The viewer in the desktop window: talks to the application around it, which passes requests on to
// the agent and the relay of this computer and sends the agent's events.

import type {
  DeviceRequest,
  DeviceResponse,
  DeviceStatus,
  DeviceView,
  Event,
  PairingCode,
  Presence,
  Problem,
  RelayRequest,
  RelayResponse,
  SessionView,
  TaskView,
} from "../protocol";
import { type Backend, BackendError, type LiveEvent } from "./backend";

/** What the command `request` takes, and what it answers. */
type Asked = { device: DeviceRequest } | { relay: RelayRequest } | { here: Record<string, never> };
type Answered =
  | { device: DeviceResponse }
  | { relay: RelayResponse }
  | { here: Here }
  | { problem: Problem };

interface Here {
  version: string;
  own_relay_url: string | null;
  relay_url: string | null;
  device_id: string | null;
  device_name: string | null;
}

/** Some events, and how many commits were skipped before them. */
interface Batch {
  events: Event[];
  missed: number;
}

/** The part of the desktop's bridge that is used; it is there before the page is. */
interface Bridge {
  core: { invoke<Answer>(command: string, args: Record<string, unknown>): Promise<Answer> };
  event: {
    listen<Payload>(name: string, hear: (event: { payload: Payload }) => void): Promise<() => void>;
  };
}

/** Stands for this computer where no relay gave it an id. */
const NO_ID = "here";

/** How often the link's state is asked for: it is not among the events. */
const LOOK_MS = 5_000;

export function tauriBackend(): Backend {
  const bridge = (window as unknown as { __TAURI__: Bridge }).__TAURI__;
  addEventListener("error", (event) => report(event.message));
  addEventListener("unhandledrejection", (event) => report(String(event.reason)));
  function report(message: string) {
    void bridge.core.invoke("page_failed", { message });
  }
  void bridge.event.listen<string>("deskhand://go", ({ payload }) => {
    location.hash = `#/${payload}`;
  });

  /** What the relay calls this computer, once it was asked. */
  let ownId = NO_ID;

  async function ask(request: Asked): Promise<Answered> {
    const answer = await bridge.core.invoke<Answered>("request", { request });
    if ("problem" in answer) throw problem(answer.problem);
    return answer;
  }
  async function device(request: DeviceRequest): Promise<DeviceResponse> {
    const answer = await ask({ device: request });
    if (!("device" in answer)) throw new BackendError("the agent answered something else");
    if (answer.device.type === "problem") throw problem(answer.device.problem);
    return answer.device;
  }
  async function relay(request: RelayRequest): Promise<RelayResponse> {
    const answer = await ask({ relay: request });
    if (!("relay" in answer)) throw new BackendError("the relay answered something else");
    if (answer.relay.type === "problem") throw problem(answer.relay.problem);
    return answer.relay;
  }
  async function here(): Promise<Here> {
    const answer = await ask({ here: {} });
    if (!("here" in answer)) throw new BackendError("the application answered something else");
    return answer.here;
  }
  /** The window shows this computer, whatever relay it is joined to. */
  async function thisDevice(): Promise<DeviceView> {
    const [place, status] = await Promise.all([here(), device({ type: "status" })]);
    if (status.type !== "status") throw new BackendError("the agent answered something else");
    ownId = place.device_id ?? NO_ID;
    return {
      device_id: ownId,
      device_name: status.device_name,
      os: "",
      status: presenceOf(status),
      reason: status.reason,
      enrolled_at: status.started_at,
      last_seen_at: null,
      latency_ms: status.link.type === "connected" ? status.link.latency_ms : null,
    };
  }

  return {
    kind: "window",
    async session(): Promise<SessionView> {
      const place = await here();
      return {
        key: {
          key_id: "owner",
          name: "owner",
          scopes: ["admin"],
          devices: null,
          limits: { read_only: false, can_approve: true },
          requests_per_minute: null,
          created_at: new Date().toISOString(),
          expires_at: null,
          last_used_at: null,
        },
        relay_version: place.version,
        relay_url: place.relay_url ?? "",
      };
    },
    signIn() {
      return this.session();
    },
    signOut: () => Promise.resolve(),
    async devices() {
      const own = await thisDevice();
      const others = await relay({ type: "list_devices" }).catch(() => null);
      if (others?.type !== "devices") return [own];
      return others.devices.map((view) => (view.device_id === own.device_id ? { ...view, status: own.status } : view));
    },
    shows: (name) => name === ownId,
    request: (_, request) => device(request),
    relay,
    /** Opens the task here: with or without a relay, which hears of it when there is one. */
    async submit(request): Promise<TaskView> {
      const { device: wanted, ...rest } = request;
      const here = wanted === undefined || wanted === NO_ID ? rest : request;
      const answer = await device({ type: "open_task", request: here, source: "viewer" });
      if (answer.type !== "task_opened") throw new BackendError("the agent answered something else");
      return answer.task;
    },
    async cancel(uid) {
      await device({ type: "cancel", task_id: uid, grace_seconds: 5 });
    },
    async answer({ task_id, digest }, answer) {
      const by = { name: "owner", door: "viewer" } as const;
      await device({ type: "answer_approval", task_id, digest, answer, by });
    },
    async chooseFolder() {
      try {
        return await bridge.core.invoke<string | null>("choose_folder", {});
      } catch (problem) {
        throw new BackendError(String(problem));
      }
    },
    async pairingCode(): Promise<PairingCode> {
      const answer = await relay({ type: "create_pairing_code" });
      if (answer.type !== "pairing_code") throw new BackendError("the relay made no code");
      return answer;
    },
    async callers() {
      const answer = await relay({ type: "list_callers" });
      if (answer.type !== "callers") throw new BackendError("the relay answered something else");
      return answer.callers;
    },
    async endCaller(caller) {
      await relay({ type: "revoke_caller", caller });
    },
    async pause(wanted, paused) {
      const own = await thisDevice();
      if (wanted !== own.device_id) {
        throw new BackendError("This window pauses its own computer; another one is paused there, or from a browser.");
      }
      await device({ type: paused ? "pause" : "resume" });
    },
    removeDevice: () =>
      Promise.reject(new BackendError("Devices are removed with `deskhand devices remove`.")),
    follow(_, listener) {
      let presence: Presence | null = null;
      const look = async () => {
        const status = await device({ type: "status" }).catch(() => null);
        // A pause, too, is not among the events.
        const now = status?.type === "status" ? presenceOf(status) : null;
        if (presence !== null && now !== presence) listener.event({ type: "device" });
        presence = now;
        if (status?.type !== "status") listener.connection({ state: "offline" });
        else if (status.link.type === "connected") {
          listener.connection({ state: "connected", latencyMs: status.link.latency_ms });
        } else if (status.link.type === "reconnecting") {
          listener.connection({ state: "reconnecting", attempt: status.link.attempt });
        } else listener.connection({ state: "offline" });
      };
      const heard = bridge.event.listen<Batch>("deskhand://events", ({ payload }) => {
        if (payload.missed > 0) listener.event({ type: "gap" });
        for (const event of payload.events) {
          const live = liveEvent(event);
          if (live !== null) listener.event(live);
        }
      });
      listener.connection({ state: "connecting" });
      void look();
      const looking = setInterval(look, LOOK_MS);
      return {
        retry: () => void look(),
        stop() {
          clearInterval(looking);
          void heard.then((stop) => stop());
        },
      };
    },
  };
}

function presenceOf(status: DeviceStatus): Presence {
  if (status.paused) return "paused";
  return status.can_execute ? "online" : "cannot_execute";
}

function problem({ error, code, hint }: Problem): BackendError {
  return new BackendError(error, code, hint ?? null);
}

/** Returns what an event of the agent means for the viewer; nothing for what it does not show. */
export function liveEvent({ task_id: uid, at, kind }: Event): LiveEvent | null {
  switch (kind.type) {
    case "task_accepted":
    case "attempt_lost":
      return { type: "queued", uid, at };
    case "attempt_started":
      return { type: "started", uid, at };
    case "approval_requested":
      return { type: "asked", uid };
    case "approval_answered":
      return { type: "answered", uid };
    case "runs_left_out":
      return { type: "left_out", schedule: kind.schedule };
    case "progress_made":
      return { type: "progress", uid, percent: kind.percent ?? null, message: kind.message ?? "", at };
    case "output_appended": {
      const { stream, offset, n_bytes, preview } = kind;
      return { type: "output", uid, stream, offset, n_bytes, preview };
    }
    case "attempt_finished":
    case "task_cancelled":
    case "task_expired": {
      const { status, returncode, code, error } = kind.outcome;
      return {
        type: "ended",
        uid,
        status,
        returncode: returncode ?? null,
        code: code ?? null,
        error: error ?? null,
        at,
      };
    }
    default:
      return null;
  }
}
