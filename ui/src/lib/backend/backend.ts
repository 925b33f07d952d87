// Everything the viewer knows of the outside, and the only way to it.

import type { Health } from "../protocol";

export interface Backend {
  /** Asks the relay how it is; rejects with a `BackendError`. */
  health(): Promise<Health>;
}

/** Says in `message` what was tried and why it failed, for the reader of the page. */
export class BackendError extends Error {}
