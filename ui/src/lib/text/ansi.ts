// What a program prints for a terminal, line by line: colours are kept, everything else that a
// terminal would obey is taken out. The result is text and class names, never markup.

import { visible } from "./visible";

/** Colours and weight, as they stand at one place of a stream. */
export interface Style {
  readonly fg: string | null;
  readonly bg: string | null;
  readonly bold: boolean;
  readonly faint: boolean;
  readonly italic: boolean;
  readonly underline: boolean;
  readonly inverse: boolean;
}

export const PLAIN: Style = {
  fg: null,
  bg: null,
  bold: false,
  faint: false,
  italic: false,
  underline: false,
  inverse: false,
};

/** A piece of a line in one style. */
export interface Span {
  text: string;
  style: Style;
}

/**
 * Escape sequences: CSI, the string sequences (OSC, DCS, SOS, PM, APC) up to their end or the end of
 * the line, two-character ones, and an escape that is cut off.
 */
const ESCAPE =
  /\u001b\[([0-?]*)[ -/]*([@-~])|\u001b[\]PX^_][^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c|$)|\u001b[ -/]*[0-~]?|\u009b[0-?]*[ -/]*[@-~]/g;

/** Returns the style at the end of a line that begins in `style`. */
export function styleAfter(line: string, style: Style): Style {
  if (!line.includes("\u001b")) return style;
  let at = style;
  for (const found of line.matchAll(ESCAPE)) {
    if (found[2] === "m") at = changed(at, found[1] ?? "");
  }
  return at;
}

/** Returns the pieces of a line that begins in `style`. */
export function spans(line: string, style: Style): Span[] {
  const text = overwritten(line);
  const found: Span[] = [];
  let at = style;
  let from = 0;
  const add = (end: number) => {
    if (end > from) found.push({ text: visible(text.slice(from, end)), style: at });
  };
  if (text.includes("\u001b") || text.includes("\u009b")) {
    for (const escape of text.matchAll(ESCAPE)) {
      add(escape.index);
      from = escape.index + escape[0].length;
      if (escape[2] === "m") at = changed(at, escape[1] ?? "");
    }
  }
  add(text.length);
  return found;
}

/** Returns a line without what a terminal would obey: for search and for the clipboard. */
export function plain(line: string): string {
  const text = overwritten(line);
  return text.includes("\u001b") ? text.replace(ESCAPE, "") : text;
}

/** A carriage return goes back to the beginning: what counts is what was written last. */
function overwritten(line: string): string {
  if (!line.includes("\r")) return line;
  const written = line.split("\r").filter((part) => part !== "");
  return written.at(-1) ?? "";
}

function changed(style: Style, codes: string): Style {
  const next = { ...style };
  const list = codes === "" ? [0] : codes.split(/[;:]/).map(Number);
  for (let i = 0; i < list.length; i += 1) {
    const code = list[i] ?? 0;
    if (code === 0) Object.assign(next, PLAIN);
    else if (code === 1) next.bold = true;
    else if (code === 2) next.faint = true;
    else if (code === 3) next.italic = true;
    else if (code === 4) next.underline = true;
    else if (code === 7) next.inverse = true;
    else if (code === 22) next.bold = next.faint = false;
    else if (code === 23) next.italic = false;
    else if (code === 24) next.underline = false;
    else if (code === 27) next.inverse = false;
    else if (code >= 30 && code <= 37) next.fg = `c${code - 30}`;
    else if (code === 39) next.fg = null;
    else if (code >= 40 && code <= 47) next.bg = `c${code - 40}`;
    else if (code === 49) next.bg = null;
    else if (code >= 90 && code <= 97) next.fg = `c${code - 82}`;
    else if (code >= 100 && code <= 107) next.bg = `c${code - 92}`;
    else if (code === 38 || code === 48) {
      const [colour, used] = extended(list.slice(i + 1));
      if (code === 38) next.fg = colour;
      else next.bg = colour;
      i += used;
    }
  }
  return next;
}

/** 5;n is a colour of 256, 2;r;g;b any: both are brought to the nearest of sixteen. */
function extended(rest: number[]): [string | null, number] {
  if (rest[0] === 5) {
    const n = rest[1] ?? 0;
    if (n < 16) return [`c${n}`, 2];
    if (n >= 232) return [nearest((n - 232) * 10 + 8, (n - 232) * 10 + 8, (n - 232) * 10 + 8), 2];
    const level = (value: number) => (value === 0 ? 0 : 55 + value * 40);
    const cube = n - 16;
    return [
      nearest(level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6)),
      2,
    ];
  }
  if (rest[0] === 2) return [nearest(rest[1] ?? 0, rest[2] ?? 0, rest[3] ?? 0), 4];
  return [null, 0];
}

function nearest(r: number, g: number, b: number): string {
  const most = Math.max(r, g, b);
  const isBright = most > 192;
  const on = (value: number) => (value > most * 0.6 && most > 48 ? 1 : 0);
  const base = on(r) + on(g) * 2 + on(b) * 4;
  if (base === 7) return most > 224 ? "c15" : most > 128 ? "c7" : "c8";
  if (base === 0) return "c8";
  return `c${base + (isBright ? 8 : 0)}`;
}

/** Returns the class names of a style. */
export function classes(style: Style): string {
  const { fg, bg } = style.inverse
    ? { fg: style.bg ?? "inverse", bg: style.fg ?? "inverse" }
    : style;
  const names = [];
  if (fg !== null) names.push(`fg-${fg}`);
  if (bg !== null) names.push(`bg-${bg}`);
  for (const name of ["bold", "faint", "italic", "underline"] as const) {
    if (style[name]) names.push(name);
  }
  return names.join(" ");
}
