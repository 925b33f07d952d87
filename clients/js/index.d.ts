/** The ways to follow a timeline, best first. */
export declare const WAYS: readonly Way[];

export type Way = "websocket" | "sse" | "poll";

/** Where a watch is; `closed` is the end, asked for or because the relay will not have it. */
export type State = "connecting" | "connected" | "reconnecting" | "closed";

/** One entry of a timeline; its fields are described in `docs/protocol.md`. */
export interface Entry {
  type: string;
  cursor: string;
  bot_id: string;
  timestamp: string;
  [field: string]: unknown;
}

/** The stream is not whole between two places; unless `lost`, what lies between follows late. */
export interface Gap {
  type: "gap";
  from: string;
  to: string;
  lost: boolean;
  cursor: string;
}

/** Which entries; all conditions hold. */
export interface Filters {
  source?: string;
  status?: string;
  success?: boolean;
  action?: string;
  task_id?: string;
}

export interface WatchOptions {
  filters?: Filters;
  /** Goes on after this place; the last 50 entries come first when absent. */
  cursor?: string;
  /** The ways to try, best first. */
  ways?: readonly Way[];
  /** A WebSocket constructor, where there is no global one (Node 20). */
  WebSocket?: unknown;
  /** How often a sign of life is asked for, in milliseconds; 25 s when absent. */
  pingEvery?: number;
  /** How often is asked where streams are blocked, in milliseconds; 2 s when absent. */
  pollEvery?: number;
  onEntry?(entry: Entry): void;
  onGap?(gap: Gap): void;
  onState?(state: State, reason?: unknown): void;
  onWarning?(text: string): void;
  /** The relay will not have it; the watch is closed. */
  onError?(error: RelayError): void;
}

/** A timeline that is followed until it is closed. */
export interface Watch {
  close(): void;
  readonly state: State;
  readonly way: Way | undefined;
  /** Round trip of the last beat, in milliseconds. */
  readonly latency: number | undefined;
  /** The place of the last entry. */
  readonly cursor: string | undefined;
}

export interface RelayOptions {
  /** The relay's address; the page's own when absent. */
  url?: string;
  /** A caller key; none when the page has a session. */
  key?: string;
  /** The door tasks come through. */
  source?: "cli" | "viewer";
  fetch?: typeof globalThis.fetch;
  /** Hears of tasks that wait, and of those that do not fit; `console.warn` when absent. */
  onWarning?(text: string): void;
}

export interface CallOptions {
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** The calls of a relay. */
export declare class Relay {
  constructor(options?: RelayOptions);
  readonly url: string;
  /** How many tasks wait for the relay. */
  readonly queued: number;
  call(method: string, path: string, options?: CallOptions): Promise<Response>;
  json<T = unknown>(method: string, path: string, options?: CallOptions): Promise<T>;
  /** Hands a task over; while the relay is away it waits, at most 100 of them. */
  submit<T = Record<string, unknown>>(task: object): Promise<T>;
  flush(): Promise<void>;
  task<T = Record<string, unknown>>(id: string): Promise<T>;
  tasks<T = Record<string, unknown>>(query?: object): Promise<T>;
  cancel<T = Record<string, unknown>>(id: string): Promise<T>;
  devices<T = Record<string, unknown>>(): Promise<T[]>;
  askDevice<T = Record<string, unknown>>(device: string, request: object): Promise<T>;
  timelinePage<T = Record<string, unknown>>(device: string, query?: object, options?: CallOptions): Promise<T>;
  watch(device: string, options?: WatchOptions): Watch;
}

/** Follows a device's timeline until it is closed. */
export declare function watch(relay: Relay, device: string, options?: WatchOptions): Watch;

/** The relay said no. */
export declare class RelayError extends Error {
  status: number;
  code?: string;
  hint?: string;
  taskId?: string;
}
