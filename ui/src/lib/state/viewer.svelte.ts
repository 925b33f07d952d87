// Who is signed in, which devices there are, which one is looked at, and how the connection is.

import { type Backend, BackendError, type Connection, type Following } from "../backend/backend";
import type { DeviceStatus, DeviceView, SessionView } from "../protocol";
import { Live } from "./live";
import { once } from "./once";

/** How often devices and their state are read without a reason. */
const REFRESH_MS = 30_000;

/** Round trips that are remembered: an hour of them in a browser. */
const MOST_LATENCIES = 360;

const CODE = /^#sign-in=([\w-]+)$/;

export type SignedIn =
  | { kind: "asking" }
  | { kind: "out"; problem: string | null }
  | { kind: "in"; session: SessionView }
  | { kind: "unreachable"; problem: string };

/** How long a round trip took, and when. */
export interface Latency {
  at: number;
  ms: number;
}

export class Viewer {
  readonly live = new Live();
  signedIn = $state.raw<SignedIn>({ kind: "asking" });
  devices = $state.raw<DeviceView[]>([]);
  /** Those that can be looked at from here. */
  shown = $state.raw<DeviceView[]>([]);
  /** The device that is looked at. */
  device = $state.raw<DeviceView | null>(null);
  status = $state.raw<DeviceStatus | null>(null);
  connection = $state.raw<Connection>({ state: "connecting" });
  /** Round trips to the device that is looked at, since the page was opened; the oldest first. */
  latencies = $state.raw<Latency[]>([]);
  #following: Following | null = null;
  #followed: string | null = null;
  readonly refresh = once(() => this.#refresh(), 500);

  constructor(readonly backend: Backend) {
    this.live.subscribe((events) => {
      if (events.some((event) => event.type === "device" || event.type === "gap")) this.refresh();
    });
  }

  /** Finds out who is signed in; a link's code is taken out of the address before anything else. */
  async start(): Promise<void> {
    const code = CODE.exec(location.hash)?.[1];
    if (code !== undefined) history.replaceState(null, "", "#/tasks");
    setInterval(() => {
      if (!document.hidden && this.signedIn.kind === "in") this.refresh();
    }, REFRESH_MS);
    if (code !== undefined && (await this.#enter(() => this.backend.signIn({ code })))) return;
    // A code that is used up does no harm to whoever is signed in already.
    const problem = this.signedIn.kind === "out" ? this.signedIn.problem : null;
    if (!(await this.#enter(() => this.backend.session())) && problem !== null) {
      this.signedIn = { kind: "out", problem };
    }
  }

  async signIn(key: string): Promise<void> {
    await this.#enter(() => this.backend.signIn({ key }));
  }

  async signOut(): Promise<void> {
    await this.backend.signOut();
    this.#following?.stop();
    this.#following = null;
    this.#followed = null;
    this.device = null;
    this.signedIn = { kind: "out", problem: null };
  }

  retry(): void {
    if (this.#following === null) void this.start();
    else this.#following.retry();
  }

  choose(id: string): void {
    const device = this.shown.find((known) => known.device_id === id);
    if (device === undefined) return;
    this.device = device;
    this.status = null;
    this.#follow();
    this.refresh();
  }

  async #enter(ask: () => Promise<SessionView>): Promise<boolean> {
    try {
      const session = await ask();
      this.signedIn = { kind: "in", session };
      await this.#refresh();
      return true;
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
      if (error.code === "unreachable") {
        this.signedIn = { kind: "unreachable", problem: error.message };
      } else {
        const isPlain = error.code === "unauthorized" && this.signedIn.kind === "asking";
        const hint = error.hint === null ? "" : `; ${error.hint}`;
        this.signedIn = { kind: "out", problem: isPlain && hint === "" ? null : error.message + hint };
      }
      return false;
    }
  }

  async #refresh(): Promise<void> {
    try {
      this.devices = await this.backend.devices();
      this.shown = this.devices.filter((device) => this.backend.shows(device.device_id));
      const id = this.device?.device_id;
      const chosen = this.shown.find((device) => device.device_id === id);
      this.device = chosen ?? this.shown.find(isThere) ?? this.shown[0] ?? null;
      this.#follow();
      if (this.device === null || !isThere(this.device)) {
        this.status = null;
        return;
      }
      const answer = await this.backend.request(this.device.device_id, { type: "status" });
      if (answer.type === "status") this.status = answer;
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
      if (error.code === "unauthorized") this.signedIn = { kind: "out", problem: null };
    }
  }

  #connected(connection: Connection): void {
    this.connection = connection;
    if (connection.state !== "connected" || connection.latencyMs === null) return;
    const seen = { at: Date.now(), ms: connection.latencyMs };
    this.latencies = [...this.latencies.slice(1 - MOST_LATENCIES), seen];
  }

  #follow(): void {
    const id = this.device?.device_id ?? null;
    if (id === this.#followed) return;
    this.#following?.stop();
    this.#followed = id;
    this.latencies = [];
    this.#following =
      id === null
        ? null
        : this.backend.follow(id, {
            event: (event) => this.live.push(event),
            connection: (connection) => this.#connected(connection),
          });
  }
}

/** Tells whether a device answers requests. */
export function isThere(device: DeviceView): boolean {
  return ["online", "cannot_execute", "paused"].includes(device.status);
}
