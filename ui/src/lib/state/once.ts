// Work that is asked for often and done one at a time: who asks while it runs has it done once more.

/** Returns a function that runs `work`, never twice at once, and at most once per `everyMs`. */
export function once(work: () => Promise<void>, everyMs: number): () => void {
  let isRunning = false;
  let isWanted = false;
  let ranAt = Number.NEGATIVE_INFINITY;
  const run = async () => {
    isRunning = true;
    isWanted = false;
    ranAt = performance.now();
    try {
      await work();
    } finally {
      isRunning = false;
      if (isWanted) ask();
    }
  };
  const ask = () => {
    if (isRunning || isWanted) {
      isWanted = true;
      return;
    }
    const wait = ranAt + everyMs - performance.now();
    if (wait <= 0) {
      void run();
      return;
    }
    isWanted = true;
    setTimeout(() => {
      if (!isRunning) void run();
    }, wait);
  };
  return ask;
}
