// Everything the viewer knows of the outside, and the only way to it. Two of it: `relay.ts` in a
// browser, `tauri.ts` in the desktop window. They differ in the transport and in what they may change.

import type {
  Answer,
  CallerView,
  DeviceRequest,
  DeviceResponse,
  DeviceView,
  ErrorCode,
  PairingCode,
  QuestionView,
  RelayRequest,
  RelayResponse,
  SessionView,
  Stream,
  TaskRequest,
  TaskStatus,
  TaskView,
} from "../protocol";

export interface Backend {
  /** Where the page is: what changes rules, workspaces, keys or settings is done in the window alone. */
  readonly kind: "browser" | "window";
  /** Who is signed in; rejects with `unauthorized` when nobody is. */
  session(): Promise<SessionView>;
  /** Signs in with a key, or with the code of a link. */
  signIn(by: { key: string } | { code: string }): Promise<SessionView>;
  signOut(): Promise<void>;
  devices(): Promise<DeviceView[]>;
  /** Tells whether a device can be looked at from here: a window shows its own computer alone. */
  shows(device: string): boolean;
  /** Asks a device. A problem rejects. */
  request(device: string, request: DeviceRequest): Promise<DeviceResponse>;
  /** Asks the relay of this computer; rejects with `local_only` in a browser. */
  relay(request: RelayRequest): Promise<RelayResponse>;
  submit(request: TaskRequest): Promise<TaskView>;
  cancel(uid: string): Promise<void>;
  /** Answers a question; `always_here` is local. */
  answer(question: QuestionView, answer: Answer): Promise<void>;
  /** Lets the owner choose a directory of this computer in the system's own dialog; nothing when they do
   * not. Rejects with `local_only` in a browser. */
  chooseFolder(): Promise<string | null>;
  pairingCode(): Promise<PairingCode>;
  /** The programs that signed in by themselves. */
  callers(): Promise<CallerView[]>;
  /** Lets one of them in no more. */
  endCaller(caller: string): Promise<void>;
  /** Has a device take no more tasks, or take them again. */
  pause(device: string, paused: boolean): Promise<void>;
  removeDevice(device: string): Promise<void>;
  /** Follows what happens on a device until the returned function is called. */
  follow(device: string, listener: Listener): Following;
}

export interface Listener {
  /** What happened, in order. */
  event(event: LiveEvent): void;
  /** How the connection is, on each change. */
  connection(connection: Connection): void;
}

export interface Following {
  /** Tries to connect now. */
  retry(): void;
  stop(): void;
}

/** What happened on a device, as far as the viewer cares. */
export type LiveEvent =
  | { type: "queued"; uid: string; at: string }
  | { type: "started"; uid: string; at: string }
  | { type: "progress"; uid: string; percent: number | null; message: string; at: string }
  | { type: "output"; uid: string; stream: Stream; offset: number; n_bytes: number; preview: string }
  | {
      type: "ended";
      uid: string;
      status: TaskStatus;
      returncode: number | null;
      code: ErrorCode | null;
      error: string | null;
      at: string;
    }
  | { type: "asked"; uid: string }
  | { type: "answered"; uid: string }
  /** Runs of a schedule were left out. */
  | { type: "left_out"; schedule: string }
  | { type: "device" }
  /** Something was missed: what is shown has to be read again. */
  | { type: "gap" };

export type Connection =
  | { state: "connecting" }
  | { state: "connected"; latencyMs: number | null }
  | { state: "reconnecting"; attempt: number }
  | { state: "offline" };

/** Says in `message` what was tried and why it failed, for the reader of the page. */
export class BackendError extends Error {
  constructor(
    message: string,
    readonly code: ErrorCode | "unreachable" = "unreachable",
    readonly hint: string | null = null,
  ) {
    super(message);
  }
}
