// A device's timeline over a WebSocket: connects, goes on where it was after a break, and tells how
// the connection is.

import type { TimelineEntry, TimelineMessage } from "../protocol";
import type { Connection, Following, Listener, LiveEvent } from "./backend";

/** How often the relay is asked for a sign of life; the answer is the latency shown. */
const PING_EVERY_MS = 10_000;

/** Silence after which the connection counts as broken. */
const SILENCE_MS = 25_000;

const FIRST_WAIT_MS = 250;

/** While the relay was there a moment ago: who watches is back within 5 s of its return. */
const LONGEST_WAIT_MS = 4_000;

/** A relay that has been away for this long is asked less often. */
const AWAY_AFTER_MS = 300_000;
const LONGEST_WAIT_AWAY_MS = 15_000;

/** Attempts after which the reader is offered to try now. */
const OFFLINE_AFTER = 4;

export function followTimeline(
  origin: string,
  device: string,
  listener: Listener,
  ticket: () => Promise<string>,
): Following {
  let socket: WebSocket | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let pinger: ReturnType<typeof setInterval> | undefined;
  let cursor: string | null = null;
  let attempt = 0;
  let lostAt = 0;
  let heardAt = 0;
  let pingedAt = 0;
  let stopped = false;
  let life = 0;

  const say = (connection: Connection) => listener.connection(connection);

  async function connect() {
    const mine = ++life;
    try {
      const proof = await ticket();
      if (stopped || mine !== life) return;
      const url = new URL(`/ws/devices/${encodeURIComponent(device)}/timeline`, origin);
      url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
      const opened = new WebSocket(url, [`deskhand.ticket.${proof}`]);
      socket = opened;
      heardAt = performance.now();
      opened.onopen = () =>
        opened.send(JSON.stringify({ type: "subscribe", ...(cursor === null ? {} : { cursor }) }));
      opened.onmessage = (message) => {
        heardAt = performance.now();
        if (typeof message.data === "string") hear(JSON.parse(message.data) as Heard);
      };
      opened.onclose = () => {
        if (socket === opened) lost();
      };
      clearInterval(pinger);
      pinger = setInterval(beat, PING_EVERY_MS);
    } catch {
      if (!stopped && mine === life) lost();
    }
  }

  function hear(message: Heard) {
    if (message.type === "subscribed") {
      const isFirst = cursor === null;
      attempt = 0;
      say({ state: "connected", latencyMs: null });
      beat();
      // What the page shows was read from the device, which does not say how far a task is; of the
      // rest only what came since is news.
      for (const entry of message.initial_entries) {
        if (!isFirst || entry.type === "progress") tell(entry);
      }
      cursor = message.cursor;
      if (isFirst) listener.event({ type: "gap" });
    } else if (message.type === "pong") {
      say({ state: "connected", latencyMs: Math.round(performance.now() - pingedAt) });
      if (message.cursor != null) cursor = message.cursor;
    } else if (message.type === "gap") {
      cursor = message.cursor;
      listener.event({ type: "gap" });
    } else if ("cursor" in message) {
      tell(message);
      cursor = message.cursor;
    }
  }

  function tell(entry: TimelineEntry) {
    const event = liveEvent(entry);
    if (event !== null) listener.event(event);
  }

  function beat() {
    if (socket?.readyState !== WebSocket.OPEN) return;
    if (performance.now() - heardAt > SILENCE_MS) {
      socket.close();
      lost();
      return;
    }
    pingedAt = performance.now();
    socket.send(JSON.stringify({ type: "ping" }));
  }

  function lost() {
    socket = null;
    clearInterval(pinger);
    if (stopped) return;
    if (attempt === 0) lostAt = performance.now();
    attempt += 1;
    say(attempt > OFFLINE_AFTER ? { state: "offline" } : { state: "reconnecting", attempt });
    const longest = longestWaitMs(attempt, performance.now() - lostAt);
    clearTimeout(timer);
    timer = setTimeout(connect, longest * (0.5 + Math.random() / 2));
  }

  function retry() {
    clearTimeout(timer);
    const old = socket;
    socket = null;
    old?.close();
    say({ state: "reconnecting", attempt: Math.max(attempt, 1) });
    void connect();
  }

  const online = () => retry();
  window.addEventListener("online", online);
  say({ state: "connecting" });
  void connect();
  return {
    retry,
    stop() {
      stopped = true;
      window.removeEventListener("online", online);
      clearTimeout(timer);
      clearInterval(pinger);
      socket?.close();
    },
  };
}

/** Returns how long to wait at most before an attempt, the first being 1, when the relay was lost so long ago. */
export function longestWaitMs(attempt: number, awayMs: number): number {
  const longest = awayMs < AWAY_AFTER_MS ? LONGEST_WAIT_MS : LONGEST_WAIT_AWAY_MS;
  return Math.min(FIRST_WAIT_MS * 2 ** (attempt - 1), longest);
}

type Heard = TimelineMessage | TimelineEntry;

/** Returns what an entry means for the viewer; nothing for what it does not show. */
export function liveEvent(entry: TimelineEntry): LiveEvent | null {
  switch (entry.type) {
    case "task_queued":
      return { type: "queued", uid: entry.uid, at: entry.timestamp };
    case "task_started":
      return { type: "started", uid: entry.uid, at: entry.timestamp };
    case "task_interrupted":
      return { type: "queued", uid: entry.uid, at: entry.timestamp };
    case "approval_requested":
      return { type: "asked", uid: entry.uid };
    case "approval_answered":
      return { type: "answered", uid: entry.uid };
    case "progress": {
      const { uid, percent, message, timestamp } = entry;
      return { type: "progress", uid, percent: percent === 0 ? null : percent, message, at: timestamp };
    }
    case "output": {
      const { uid, stream, offset, n_bytes, preview } = entry;
      return { type: "output", uid, stream, offset, n_bytes, preview };
    }
    case "task_completed":
      return {
        type: "ended",
        uid: entry.uid,
        status: "completed",
        returncode: entry.returncode ?? null,
        code: null,
        error: null,
        at: entry.timestamp,
      };
    case "task_failed": {
      const { uid, code, error, timestamp } = entry;
      const status = code === "cancelled" || code === "expired" ? code : "failed";
      return { type: "ended", uid, status, returncode: null, code, error, at: timestamp };
    }
    case "runs_left_out":
      return { type: "left_out", schedule: entry.schedule };
    case "device_online":
    case "device_offline":
      return { type: "device" };
    default:
      return null;
  }
}
