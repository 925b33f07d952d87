// The time, a second at a time: what shows "5 s ago" reads it here.

const SECOND_MS = 1_000;

class Clock {
  now = $state(Date.now());

  constructor() {
    setInterval(() => {
      if (!document.hidden) this.now = Date.now();
    }, SECOND_MS);
  }
}

export const clock = new Clock();
