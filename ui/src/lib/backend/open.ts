// Where the page was opened decides which backend it has; nothing else asks where it is.

import type { Backend } from "./backend";
import { relayBackend } from "./relay";

/** Returns the way to the relay that served this page; the desktop window was served by none. */
export function openBackend(page: Window = window): Backend | null {
  return "__TAURI_INTERNALS__" in page ? null : relayBackend(page.location.origin);
}
