// Watches devices and hands tasks over through a Deskhand relay. No dependencies; browsers and Node.
//
// `watch` follows a device's timeline over a WebSocket, over server-sent events where WebSockets are
// blocked, and by asking again and again where those are held back too. It comes back by itself and
// goes on from its cursor: nothing is lost and nothing comes twice. `Relay` makes the calls; a task
// that is handed over while the relay is away waits in a queue of 100.

/** The upper bound of the first wait before a new try; each further one is twice as long. */
const FIRST_WAIT_MS = 250;
/** The longest wait while the relay was there a moment ago: who watches is back within 5 s of its return. */
const LONGEST_WAIT_MS = 4_000;
/** A relay that has been away for this long is asked less often. */
const AWAY_AFTER_MS = 300_000;
/** The longest wait then. */
const LONGEST_WAIT_AWAY_MS = 30_000;
/** A connection that held this long was a good one: the next wait is short again. */
const GOOD_AFTER_MS = 10_000;
/** How often the relay is asked for a sign of life. */
const PING_MS = 25_000;
/** Without a sign of life for this long a connection is dead. */
const SILENCE_MS = 60_000;
/** How long a way may take to open. */
const OPEN_WITHIN_MS = 10_000;
/** Failures in a row before the next way is tried. */
const TRIES_PER_WAY = 2;
/** How long a lesser way is kept before the best is tried again. */
const UPGRADE_AFTER_MS = 300_000;
/** Tasks that wait while the relay is away. */
const QUEUE_TASKS = 100;

/** The ways to follow a timeline, best first. */
export const WAYS = ["websocket", "sse", "poll"];

/**
 * The upper bound of the wait before the next try, in milliseconds, after so many tries and with the relay
 * away for so long. Who waits takes a random part of it, so that not all come back in one moment.
 */
export function longestWait(tries, awayMs) {
  const longest = awayMs < AWAY_AFTER_MS ? LONGEST_WAIT_MS : LONGEST_WAIT_AWAY_MS;
  return Math.min(FIRST_WAIT_MS * 2 ** tries, longest);
}

/** The relay said no. */
export class RelayError extends Error {
  constructor(status, body) {
    super(body?.error ?? `the relay answered ${status}`);
    this.name = "RelayError";
    this.status = status;
    this.code = body?.code;
    this.hint = body?.hint;
    this.taskId = body?.task_id;
  }
}

/** The calls of a relay. */
export class Relay {
  #url;
  #key;
  #source;
  #fetch;
  #queue = [];
  #sending = false;
  #onWarning;

  constructor({ url, key, source, fetch: fetcher, onWarning } = {}) {
    this.#url = String(url ?? globalThis.location?.origin ?? "").replace(/\/+$/, "");
    this.#key = key;
    this.#source = source;
    this.#fetch = fetcher ?? globalThis.fetch.bind(globalThis);
    this.#onWarning = onWarning ?? ((text) => console.warn(text));
  }

  get url() {
    return this.#url;
  }

  /** How many tasks wait for the relay. */
  get queued() {
    return this.#queue.length;
  }

  /** Calls an address and returns the response, whatever it is. */
  async call(method, path, { body, headers, signal } = {}) {
    const all = { ...headers };
    if (this.#key !== undefined) all["x-api-key"] = this.#key;
    if (this.#source !== undefined) all["x-deskhand-source"] = this.#source;
    if (body !== undefined) all["content-type"] = "application/json";
    return this.#fetch(this.#url + path, {
      method,
      headers: all,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
    });
  }

  /** Calls an address and returns what the body holds; a refusal is a `RelayError`. */
  async json(method, path, options) {
    const response = await this.call(method, path, options);
    const text = await response.text();
    let value;
    try {
      value = text === "" ? undefined : JSON.parse(text);
    } catch {
      value = undefined;
    }
    if (!response.ok) throw new RelayError(response.status, value);
    return value;
  }

  /**
   * Hands a task over. While the relay is away the task waits, at most 100 of them; it has a name,
   * so that it runs once however often it is sent.
   */
  submit(task) {
    if (this.#queue.length >= QUEUE_TASKS) {
      const text = `${QUEUE_TASKS} tasks wait for the relay already: this one is not taken`;
      this.#onWarning(text);
      return Promise.reject(new Error(text));
    }
    const named = { task_id: randomName(), ...task };
    return new Promise((resolve, reject) => {
      this.#queue.push({ task: named, resolve, reject });
      if (this.#queue.length === 1) void this.flush();
    });
  }

  /** Sends what waits, in order. Called by itself; `watch` calls it when the relay is back. */
  async flush() {
    if (this.#sending) return;
    this.#sending = true;
    let tries = 0;
    let thereAt = Date.now();
    try {
      while (this.#queue.length > 0) {
        const { task, resolve, reject } = this.#queue[0];
        try {
          const view = await this.json("POST", "/api/tasks", { body: task });
          this.#queue.shift();
          resolve(view);
          tries = 0;
          thereAt = Date.now();
        } catch (error) {
          const passes = !(error instanceof RelayError) || error.status === 429 || error.status === 503;
          if (passes && error.code !== "device_offline" && error.code !== "device_paused") {
            if (tries === 0) {
              this.#onWarning(`the relay is away: ${this.#queue.length} tasks wait`);
            }
            await sleep(Math.random() * longestWait(tries, Date.now() - thereAt));
            tries += 1;
          } else {
            this.#queue.shift();
            reject(error);
          }
        }
      }
    } finally {
      this.#sending = false;
    }
  }

  task(id) {
    return this.json("GET", `/api/tasks/${encodeURIComponent(id)}`);
  }

  tasks(query = {}) {
    return this.json("GET", `/api/tasks${queryText(query)}`);
  }

  cancel(id) {
    return this.json("POST", `/api/tasks/${encodeURIComponent(id)}/cancel`);
  }

  devices() {
    return this.json("GET", "/api/devices").then((list) => list.devices);
  }

  askDevice(device, request) {
    return this.json("POST", `/api/device-requests/${encodeURIComponent(device)}`, { body: request });
  }

  timelinePage(device, query = {}, options) {
    const path = `/api/devices/${encodeURIComponent(device)}/timeline${queryText(query)}`;
    return this.json("GET", path, options);
  }

  /** Follows a device's timeline; see `watch`. */
  watch(device, options) {
    return watch(this, device, options);
  }
}

/** Follows a device's timeline until it is closed. */
export function watch(relay, device, options = {}) {
  const follower = new Follower(relay, device, options);
  void follower.run();
  return {
    close: () => follower.close(),
    get state() {
      return follower.state;
    },
    get way() {
      return follower.way;
    },
    get latency() {
      return follower.latency;
    },
    get cursor() {
      return follower.cursor;
    },
  };
}

class Follower {
  state = "connecting";
  way;
  latency;
  cursor;
  #relay;
  #device;
  #options;
  #closed = new AbortController();
  #attempt = new AbortController();
  #failures = 0;
  #wayAt = 0;
  #lessSince = 0;

  constructor(relay, device, options) {
    this.#relay = relay;
    this.#device = device;
    this.#options = options;
    this.cursor = options.cursor;
  }

  close() {
    this.#closed.abort();
    this.#attempt.abort();
    this.#become("closed");
  }

  async run() {
    const ways = this.#options.ways ?? WAYS;
    let tries = 0;
    let thereAt = Date.now();
    while (!this.#closed.signal.aborted) {
      if (this.#wayAt > 0 && Date.now() - this.#lessSince > UPGRADE_AFTER_MS) this.#wayAt = 0;
      this.way = ways[this.#wayAt];
      const began = Date.now();
      let opened = false;
      let polite = false;
      let reason;
      this.#attempt = new AbortController();
      try {
        const onOpen = () => {
          opened = true;
          this.#failures = 0;
          this.#become("connected");
          void this.#relay.flush();
        };
        polite = await this.#follow(onOpen, this.#attempt.signal);
        reason = "the relay closed the connection";
      } catch (error) {
        reason = error;
      } finally {
        this.#attempt.abort();
      }
      if (this.#closed.signal.aborted) return;
      const refused =
        reason instanceof RelayError && reason.status < 500 && reason.status !== 429;
      if (refused) {
        this.#become("closed", reason);
        this.#options.onError?.(reason);
        return;
      }
      if (!opened && ++this.#failures >= TRIES_PER_WAY && this.#wayAt + 1 < ways.length) {
        // Only when the relay can be reached is it the way that is blocked.
        if (reason instanceof BlockedError) {
          this.#failures = 0;
          this.#wayAt += 1;
          this.#lessSince = Date.now();
          this.#options.onWarning?.(`${this.way} is blocked: trying ${ways[this.#wayAt]}`);
        }
      }
      if (opened) thereAt = Date.now();
      if (polite || (opened && Date.now() - began > GOOD_AFTER_MS)) tries = 0;
      this.#become("reconnecting", reason);
      await sleep(Math.random() * longestWait(tries, Date.now() - thereAt), this.#closed.signal);
      tries += 1;
    }
  }

  #become(state, reason) {
    if (this.state === state) return;
    this.state = state;
    this.#options.onState?.(state, reason);
  }

  #follow(onOpen, signal) {
    if (this.way === "websocket") return this.#webSocket(onOpen, signal);
    if (this.way === "sse") return this.#serverSentEvents(onOpen, signal);
    return this.#poll(onOpen, signal);
  }

  /** Takes one message of whatever way. */
  #take(message) {
    if (message.type === "subscribed") {
      for (const entry of message.initial_entries) this.#take(entry);
      this.cursor = message.cursor;
    } else if (message.type === "gap") {
      this.cursor = message.cursor;
      this.#options.onGap?.(message);
    } else if (message.cursor !== undefined && message.type !== "pong") {
      if (isAfter(message.cursor, this.cursor)) {
        this.cursor = message.cursor;
        this.#options.onEntry?.(message);
      }
    }
  }

  /** Resolves when the relay closed the socket; to whether it did so politely. */
  async #webSocket(onOpen, signal) {
    const WebSocket = this.#options.WebSocket ?? globalThis.WebSocket;
    if (WebSocket === undefined) throw new BlockedError("there are no WebSockets here");
    const { ticket } = await this.#relay.json("POST", "/api/stream-tickets", {
      signal: within(signal, OPEN_WITHIN_MS),
    });
    const address = `${this.#relay.url}/ws/devices/${encodeURIComponent(this.#device)}/timeline`;
    const socket = new WebSocket(address.replace(/^http/, "ws"), [`deskhand.ticket.${ticket}`]);
    return new Promise((resolve, reject) => {
      let subscribed = false;
      let heardAt = Date.now();
      let pingedAt;
      const end = (settle, value) => {
        clearInterval(beat);
        clearTimeout(late);
        signal.removeEventListener("abort", onAbort);
        socket.onopen = socket.onmessage = socket.onclose = null;
        // A socket of Node's throws its error if nobody listens.
        socket.onerror = () => {};
        socket.close();
        settle(value);
      };
      const ping = () => {
        pingedAt = performance.now();
        socket.send('{"type":"ping"}');
      };
      const beat = setInterval(() => {
        if (Date.now() - heardAt > SILENCE_MS) end(reject, new Error("the relay was silent"));
        else if (subscribed) ping();
      }, this.#options.pingEvery ?? PING_MS);
      const blocked = () => new BlockedError("the WebSocket does not open");
      const late = setTimeout(() => end(reject, blocked()), OPEN_WITHIN_MS);
      const onAbort = () => end(reject, new Error("closed"));
      signal.addEventListener("abort", onAbort);
      socket.onopen = () => {
        const subscribe = { type: "subscribe", filters: this.#options.filters ?? {} };
        if (this.cursor !== undefined) subscribe.cursor = this.cursor;
        socket.send(JSON.stringify(subscribe));
      };
      socket.onmessage = ({ data }) => {
        heardAt = Date.now();
        const message = JSON.parse(data);
        if (message.type === "error") {
          end(reject, new RelayError(message.error_code, { error: message.message }));
          return;
        }
        if (message.type === "pong" && pingedAt !== undefined) {
          this.latency = performance.now() - pingedAt;
          pingedAt = undefined;
        }
        if (message.type === "subscribed" && !subscribed) {
          subscribed = true;
          clearTimeout(late);
          onOpen();
          ping();
        }
        this.#take(message);
      };
      socket.onerror = () => {
        if (!subscribed) end(reject, blocked());
      };
      socket.onclose = ({ code }) => {
        if (!subscribed) end(reject, blocked());
        else end(resolve, code === 1000 || code === 1001 || code === 1012);
      };
    });
  }

  /** Resolves when the relay ended the stream. */
  async #serverSentEvents(onOpen, signal) {
    const path = `/api/devices/${encodeURIComponent(this.#device)}/timeline/events`;
    const headers = this.cursor === undefined ? {} : { "last-event-id": this.cursor };
    const stop = new AbortController();
    const cut = () => stop.abort();
    signal.addEventListener("abort", cut);
    // Held back on the way, a stream shows nothing; the relay shows a sign of life every 15 s.
    let timer = setTimeout(cut, OPEN_WITHIN_MS + 15_000);
    let opened = false;
    try {
      const response = await this.#relay.call(
        "GET",
        path + queryText(this.#options.filters ?? {}),
        { headers, signal: stop.signal },
      );
      if (!response.ok) {
        throw new RelayError(response.status, await response.json().catch(() => undefined));
      }
      if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
        throw new BlockedError("the stream comes as something else");
      }
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return true;
        clearTimeout(timer);
        timer = setTimeout(cut, SILENCE_MS);
        if (!opened) {
          opened = true;
          onOpen();
        }
        text += value;
        for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
          const block = text.slice(0, end);
          text = text.slice(end + 2);
          const data = block.split("\n").filter((line) => line.startsWith("data: "));
          if (data.length > 0) this.#take(JSON.parse(data.map((line) => line.slice(6)).join("\n")));
        }
      }
    } catch (error) {
      if (!opened && stop.signal.aborted && !signal.aborted) {
        throw new BlockedError("the stream is held back on the way");
      }
      throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", cut);
      stop.abort();
    }
  }

  /** Asks again and again; ends by an error only. */
  async #poll(onOpen, signal) {
    const filters = this.#options.filters ?? {};
    const every = this.#options.pollEvery ?? 2_000;
    for (;;) {
      const began = performance.now();
      let page;
      try {
        page = await this.#page(filters, within(signal, OPEN_WITHIN_MS));
      } catch (error) {
        // The cursor belongs to a log that is gone: begin again, and say so.
        if (!(error instanceof RelayError && error.status === 400) || this.cursor === undefined) throw error;
        const from = this.cursor;
        this.cursor = undefined;
        page = await this.#page(filters, within(signal, OPEN_WITHIN_MS));
        const to = page.entries[0]?.cursor ?? from;
        this.#options.onGap?.({ type: "gap", from, to, lost: true, cursor: to });
      }
      this.latency = performance.now() - began;
      onOpen();
      for (const entry of page.entries) this.#take(entry);
      if (!page.has_more) await sleep(every, signal);
      if (signal.aborted) throw new Error("closed");
    }
  }

  /** Returns what lies after the cursor, or the last 50 entries, oldest first. */
  async #page(filters, signal) {
    if (this.cursor !== undefined) {
      return this.#relay.timelinePage(this.#device, { ...filters, after: this.cursor }, { signal });
    }
    const page = await this.#relay.timelinePage(this.#device, { ...filters, limit: 50 }, { signal });
    return { entries: page.entries.reverse(), has_more: false };
  }
}

/** The relay can be reached, but not in this way. */
class BlockedError extends Error {}

/** Tells whether a place lies after another; a place in another log always does. */
function isAfter(cursor, other) {
  if (other === undefined) return true;
  const [log, place] = cursor.split(":");
  const [otherLog, otherPlace] = other.split(":");
  return log !== otherLog || Number(place) > Number(otherPlace);
}

function queryText(query) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text === "" ? "" : `?${text}`;
}

function randomName() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `js-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

function within(signal, ms) {
  return AbortSignal.any([signal, AbortSignal.timeout(ms)]);
}

function sleep(ms, signal) {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    }
    signal?.addEventListener("abort", done);
  });
}
