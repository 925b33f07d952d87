// Numbers and times as a person reads them.

import { locale } from "./locale";

const number = new Intl.NumberFormat(locale);
const clock = new Intl.DateTimeFormat(locale, { timeStyle: "medium" });
const dayAndTime = new Intl.DateTimeFormat(locale, {
  dateStyle: "medium",
  timeStyle: "medium",
});
const dayMonth = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short" });
const shortClock = new Intl.DateTimeFormat(locale, {
  hour: "2-digit",
  minute: "2-digit",
});

export function count(n: number): string {
  return number.format(n);
}

export function duration(ms: number): string {
  if (ms < 1) return "<1 ms";
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${Number((ms / 1_000).toFixed(1))} s`;
  if (ms < 60_000) return `${Math.round(ms / 1_000)} s`;
  const minutes = Math.floor(ms / 60_000);
  const rest = (n: number, unit: string) => (n === 0 ? "" : ` ${n} ${unit}`);
  if (minutes < 60) return `${minutes} min${rest(Math.floor((ms % 60_000) / 1_000), "s")}`;
  return `${Math.floor(minutes / 60)} h${rest(minutes % 60, "min")}`;
}

export function bytes(n: number): string {
  if (n < 1_000) return `${n} B`;
  if (n < 1_000_000) return `${(n / 1_000).toFixed(n < 10_000 ? 1 : 0)} kB`;
  return `${(n / 1_000_000).toFixed(n < 10_000_000 ? 1 : 0)} MB`;
}

/** The time of day, with the day when it is another one. */
export function moment(at: string, now: number): string {
  const date = new Date(at);
  const today = new Date(now);
  if (date.toDateString() === today.toDateString()) return shortClock.format(date);
  return `${dayMonth.format(date)}, ${shortClock.format(date)}`;
}

export function exactMoment(at: string): string {
  return dayAndTime.format(new Date(at));
}

export function clockTime(at: string): string {
  return clock.format(new Date(at));
}

/** "just now", "5 min ago", and after a day the moment itself. */
export function ago(at: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(at)) / 1_000));
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ago`;
  return moment(at, now);
}

/** "in 5 min", and a day ahead the moment itself. */
export function ahead(at: string, now: number): string {
  const seconds = Math.round((Date.parse(at) - now) / 1_000);
  if (seconds < 1) return "now";
  if (seconds < 60) return `in ${seconds} s`;
  if (seconds < 3_600) return `in ${Math.round(seconds / 60)} min`;
  if (seconds < 86_400) return `in ${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`;
  return moment(at, now);
}

/** How long a task has run, or ran; nothing before it started. */
export function ran(started: string | null, ended: string | null, now: number): number | null {
  if (started === null) return null;
  return Math.max(0, (ended === null ? now : Date.parse(ended)) - Date.parse(started));
}
