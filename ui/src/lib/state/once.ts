// Work that is asked for often and done one at a time: who asks while it runs has it done once more.

/** Returns a function that runs `work`, never twice at once, and at most once per `everyMs`. */
export function once(work: () => Promise<void>, everyMs: number): () => void {
  let state: "idle" | "waiting" | "running" | "again" = "idle";
  let ranAt = Number.NEGATIVE_INFINITY;

  async function run() {
    state = "running";
    ranAt = performance.now();
    try {
      await work();
    } finally {
      const isWanted = asked();
      state = "idle";
      if (isWanted) ask();
    }
  }

  function asked(): boolean {
    return state === "again";
  }

  function ask() {
    if (state === "running") state = "again";
    if (state !== "idle") return;
    const wait = ranAt + everyMs - performance.now();
    if (wait <= 0) {
      void run();
    } else {
      state = "waiting";
      setTimeout(() => void run(), wait);
    }
  }

  return ask;
}
