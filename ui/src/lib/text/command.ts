// Commands as text: for lists, for a shell, and back.

import type { Action } from "../protocol";

/** Returns the command as a person reads it. */
export function commandText(action: Action): string {
  if (action.type === "echo") return `echo ${action.text}`;
  const { command } = action;
  return typeof command === "string" ? command.trim() : command.map(quoted).join(" ");
}

/** Returns a word as a shell reads it. */
export function quoted(word: string): string {
  if (/^[\w@%+=:,./~^-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

export function workingDir(action: Action): string | null {
  return action.type === "echo" ? null : (action.working_dir ?? null);
}

/** Returns the action a typed line asks for: git where it begins with `git`, a shell line otherwise. */
export function actionOf(line: string, workingDir: string | null): Action {
  const where = workingDir === null ? {} : { working_dir: workingDir };
  const command = line.trim();
  // A line that needs a shell is not split into words: pipes, redirections and variables are its own.
  const isPlain = !/[|&;<>$`(){}*?~#\n]/.test(command);
  if (/^git(\s|$)/.test(command) && isPlain) {
    return { type: "git", command, ...where } as Action;
  }
  return { type: "shell", command, ...where } as Action;
}

/** Tells whether an address can be called from afar: callers in a vendor's cloud take HTTPS alone. */
export function isPublic(address: string): boolean {
  if (!URL.canParse(address)) return false;
  const { protocol, hostname } = new URL(address);
  return protocol === "https:" && !/^(localhost|127\.|\[::1\]|10\.|192\.168\.)/.test(hostname);
}

/** Returns a line for a shell that asks for the same; the key is taken from the environment. */
export function asCurl(relayUrl: string, device: string, action: Action): string {
  const body = JSON.stringify({ device, action });
  return [
    `curl -sS ${quoted(`${relayUrl}/api/tasks`)}`,
    `-H "X-API-Key: $DESKHAND_API_KEY"`,
    "-H 'Content-Type: application/json'",
    "-H 'Prefer: wait=30'",
    `-d '${body.replaceAll("'", `'\\''`)}'`,
  ].join(" \\\n  ");
}
