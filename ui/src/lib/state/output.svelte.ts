// What a task printed: read from the device piece by piece, in the order it was printed, and followed
// while it runs.

import { type Backend, BackendError, type LiveEvent } from "../backend/backend";
import type { Event, Stream } from "../protocol";
import { Lines } from "../text/lines";

/** Most bytes of one request; the device gives no more. */
const RANGE_BYTES = 512 * 1024;

/** A piece of a stream that is to be shown. */
interface Piece {
  stream: Stream;
  offset: number;
  nBytes: number;
  /** The whole of it, when its event held it. */
  text: string | null;
}

export class Output {
  readonly lines = new Lines();
  /** Changes with every piece. */
  version = $state(0);
  nBytes = $state(0);
  isReading = $state(false);
  problem = $state<string | null>(null);
  readonly #queue: Piece[] = [];
  readonly #decoders: Record<Stream, TextDecoder> = {
    stdout: new TextDecoder(),
    stderr: new TextDecoder(),
  };
  readonly #shown: Record<Stream, number> = { stdout: 0, stderr: 0 };
  #isStopped = false;

  constructor(
    readonly backend: Backend,
    readonly device: string,
    readonly uid: string,
  ) {}

  stop(): void {
    this.#isStopped = true;
  }

  /** Takes in the events of the task as the device has them. */
  addEvents(events: Event[]): void {
    for (const { kind } of events) {
      if (kind.type === "output_appended") {
        this.#add(kind.stream, kind.offset, kind.n_bytes, kind.preview);
      } else if (kind.type === "attempt_lost") this.#startOver();
    }
    void this.#work();
  }

  /** Adds what the streams hold beyond the events that are known. */
  addTotals(stdout: number, stderr: number): void {
    this.#addUpTo("stdout", stdout);
    this.#addUpTo("stderr", stderr);
    void this.#work();
  }

  /** Takes in what happened. */
  hear(events: LiveEvent[]): void {
    for (const event of events) {
      if (event.type === "output" && event.uid === this.uid) {
        this.#add(event.stream, event.offset, event.n_bytes, event.preview);
      }
    }
    void this.#work();
  }

  /** Reads a whole stream as it is kept, for a file. */
  async download(stream: Stream): Promise<Blob> {
    const parts: Uint8Array<ArrayBuffer>[] = [];
    let offset = 0;
    for (;;) {
      const read = await this.#read(stream, offset, RANGE_BYTES);
      if (read.type === "hole") {
        parts.push(new TextEncoder().encode(`\n… ${read.to - offset} bytes were not kept …\n`));
        offset = read.to;
        continue;
      }
      if (read.bytes.length === 0) return new Blob(parts, { type: "application/octet-stream" });
      parts.push(read.bytes);
      offset += read.bytes.length;
    }
  }

  /** Returns how far a stream is known, shown or about to be. */
  #known(stream: Stream): number {
    for (let i = this.#queue.length - 1; i >= 0; i -= 1) {
      const piece = this.#queue[i];
      if (piece?.stream === stream) return piece.offset + piece.nBytes;
    }
    return this.#shown[stream];
  }

  #add(stream: Stream, offset: number, nBytes: number, preview: string): void {
    const known = this.#known(stream);
    const end = offset + nBytes;
    if (end <= known) return;
    if (offset > known) this.#addUpTo(stream, offset);
    const isWhole = offset >= known && isWholeText(preview, nBytes);
    const from = Math.max(offset, known);
    this.#queue.push({ stream, offset: from, nBytes: end - from, text: isWhole ? preview : null });
  }

  #addUpTo(stream: Stream, end: number): void {
    const known = this.#known(stream);
    if (end > known) {
      this.#queue.push({ stream, offset: known, nBytes: end - known, text: null });
    }
  }

  #startOver(): void {
    this.#queue.length = 0;
    this.#shown.stdout = 0;
    this.#shown.stderr = 0;
    this.nBytes = 0;
    this.lines.note("— the attempt was lost; what follows is the next one —");
  }

  async #work(): Promise<void> {
    if (this.isReading) return;
    this.isReading = true;
    try {
      while (!this.#isStopped && this.#queue.length > 0) await this.#showNext();
      this.problem = null;
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
      this.problem = error.message;
      this.#queue.length = 0;
    } finally {
      this.isReading = false;
    }
  }

  async #showNext(): Promise<void> {
    const first = this.#queue.shift();
    if (first === undefined) return;
    if (first.text !== null) {
      this.#show(first.stream, first.text, first.nBytes);
      return;
    }
    // Pieces of one stream that follow one another are one request.
    let nBytes = first.nBytes;
    let next = this.#queue[0];
    while (next?.stream === first.stream && nBytes + next.nBytes <= RANGE_BYTES) {
      nBytes += next.nBytes;
      this.#queue.shift();
      next = this.#queue[0];
    }
    const read = await this.#read(first.stream, first.offset, Math.min(nBytes, RANGE_BYTES));
    if (read.type === "hole") {
      this.#queue.unshift({ ...first, nBytes });
      this.#skip(first.stream, first.offset, read.to);
      return;
    }
    const text = this.#decoders[first.stream].decode(read.bytes, { stream: true });
    this.#show(first.stream, text, read.bytes.length);
    const missing = nBytes - read.bytes.length;
    if (missing > 0 && read.bytes.length > 0) {
      const offset = first.offset + read.bytes.length;
      this.#queue.unshift({ stream: first.stream, offset, nBytes: missing, text: null });
    }
  }

  #show(stream: Stream, text: string, nBytes: number): void {
    this.lines.append(text, stream === "stderr");
    this.#shown[stream] += nBytes;
    this.nBytes += nBytes;
    this.version += 1;
  }

  /** Goes on behind what the device did not keep. */
  #skip(stream: Stream, from: number, to: number): void {
    this.lines.note(`… ${to - from} bytes of ${stream} were not kept …`);
    this.#shown[stream] = to;
    const waiting = this.#queue.splice(0);
    for (const piece of waiting) {
      const end = piece.offset + piece.nBytes;
      if (piece.stream !== stream || piece.offset >= to) this.#queue.push(piece);
      else if (end > to) this.#queue.push({ ...piece, offset: to, nBytes: end - to, text: null });
    }
    this.version += 1;
  }

  async #read(stream: Stream, offset: number, limit: number): Promise<Read> {
    try {
      const task_id = this.uid;
      const request = { type: "output", task_id, stream, offset, limit } as const;
      const answer = await this.backend.request(this.device, request);
      if (answer.type !== "output") throw new BackendError("the device answered something else");
      return { type: "bytes", bytes: fromBase64(answer.base64) };
    } catch (error) {
      const to = holeEnd(error, offset);
      if (to === null) throw error;
      return { type: "hole", to };
    }
  }
}

type Read = { type: "bytes"; bytes: Uint8Array<ArrayBuffer> } | { type: "hole"; to: number };

/** The device says where a hole ends: "go on at offset N". */
function holeEnd(error: unknown, offset: number): number | null {
  if (!(error instanceof BackendError) || error.code !== "range_not_satisfiable") return null;
  const to = Number(/offset (\d+)/.exec(error.hint ?? "")?.[1]);
  return to > offset ? to : null;
}

/** A preview is the whole piece when it has as many bytes, and no character stands for a broken one. */
function isWholeText(preview: string, nBytes: number): boolean {
  if (preview.includes("\ufffd")) return false;
  return new TextEncoder().encode(preview).length === nBytes;
}

function fromBase64(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return bytes;
}
