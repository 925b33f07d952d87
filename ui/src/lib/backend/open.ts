// Where the page was opened decides which backend it has; nothing else asks where it is.

import type { Backend } from "./backend";
import { relayBackend } from "./relay";

/** Returns the backend of this page: the desktop's in its window, else the relay's that served it. */
export async function openBackend(page: Window = window): Promise<Backend> {
  if ("__TAURI_INTERNALS__" in page) return (await import("./tauri")).tauriBackend();
  return relayBackend(page.location.origin);
}
