// The lines of an output, as they arrive. Bounded: very long lines are cut into several, and of very
// many the first are let go.

import { PLAIN, type Style, styleAfter } from "./ansi";

/** A line longer than this goes on in the next one. */
export const LINE_CHARACTERS = 2_000;

/** Most lines that are kept: a browser cannot lay out a much higher page. */
export const MOST_LINES = 500_000;

export interface OutputLine {
  raw: string;
  /** The style it begins in. */
  style: Style;
  isError: boolean;
  /** Goes on in the next line, because it is too long for one. */
  isCut: boolean;
}

export class Lines {
  readonly list: OutputLine[] = [];
  /** Lines that were let go. */
  nDropped = 0;
  #open: OutputLine | null = null;
  #style: Style = PLAIN;

  /** Adds text of one stream; text of the other one begins a new line. */
  append(text: string, isError: boolean): void {
    if (this.#open !== null && this.#open.isError !== isError) this.#end();
    let from = 0;
    while (from < text.length) {
      const newline = text.indexOf("\n", from);
      const end = newline === -1 ? text.length : newline;
      this.#addToLine(text.slice(from, end), isError);
      if (newline === -1) break;
      this.#line(isError);
      this.#end();
      from = newline + 1;
    }
    if (this.list.length > MOST_LINES) {
      const extra = this.list.length - MOST_LINES + MOST_LINES / 10;
      this.list.splice(0, extra);
      this.nDropped += extra;
    }
  }

  /** Adds a line of our own. */
  note(text: string): void {
    this.#end();
    this.list.push({ raw: text, style: { ...PLAIN, faint: true }, isError: false, isCut: false });
  }

  #addToLine(text: string, isError: boolean): void {
    let rest = text;
    while (rest !== "") {
      const line = this.#line(isError);
      const room = LINE_CHARACTERS - line.raw.length;
      let take = Math.min(room, rest.length);
      // A pair of surrogates is one character.
      const last = rest.charCodeAt(take - 1);
      if (take < rest.length && take > 1 && last >= 0xd800 && last < 0xdc00) take -= 1;
      line.raw += rest.slice(0, take);
      rest = rest.slice(take);
      if (rest !== "") {
        line.isCut = true;
        this.#end();
      }
    }
  }

  #line(isError: boolean): OutputLine {
    if (this.#open === null) {
      this.#open = { raw: "", style: this.#style, isError, isCut: false };
      this.list.push(this.#open);
    }
    return this.#open;
  }

  #end(): void {
    if (this.#open === null) return;
    this.#style = styleAfter(this.#open.raw, this.#open.style);
    this.#open = null;
  }
}
