/** Long polls: each waits until its queue may have something, its time is over, or its client has gone. */
export type Waiters = {
  /** True when it was woken, false when it is time to answer with nothing. `nextMs`: when something comes in sight by itself. */
  wait(queue: string, deadlineMs: number, nextMs: number | undefined, gone: AbortSignal): Promise<boolean>;
  wake(queue: string): void;
  close(): void;
};

export function createWaiters(now: () => number): Waiters {
  const waiting = new Map<string, Set<(woken: boolean) => void>>();
  let closed = false;

  return {
    wait(queue, deadlineMs, nextMs, gone) {
      if (closed || gone.aborted || deadlineMs <= now()) return Promise.resolve(false);
      return new Promise((resolve) => {
        const others = waiting.get(queue) ?? new Set();
        waiting.set(queue, others);
        const finish = (woken: boolean) => {
          clearTimeout(timer);
          gone.removeEventListener("abort", leave);
          others.delete(finish);
          resolve(woken && !gone.aborted);
        };
        const leave = () => finish(false);
        const early = nextMs !== undefined && nextMs < deadlineMs;
        // A timer may fire a millisecond early; then it would look, see nothing, and wait anew.
        const delay = Math.max(1, (early ? nextMs : deadlineMs) - now() + 1);
        const timer = setTimeout(() => finish(early), delay);
        gone.addEventListener("abort", leave);
        others.add(finish);
      });
    },
    wake(queue) {
      // After the transaction that we are in, if any: those are synchronous.
      queueMicrotask(() => {
        for (const finish of [...(waiting.get(queue) ?? [])]) finish(true);
      });
    },
    close() {
      closed = true;
      for (const others of waiting.values()) for (const finish of [...others]) finish(false);
    },
  };
}
