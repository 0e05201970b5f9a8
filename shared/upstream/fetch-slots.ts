/** So many at a time for each host; the others wait in the order in which they came. */
export type Slots = {
  /** Resolves, when it is the caller's turn, with what ends it. */
  acquire(host: string, signal?: AbortSignal): Promise<() => void>;
};

type Host = { held: number; readonly waiting: (() => void)[] };

export function createSlots(perHost: number): Slots {
  const hosts = new Map<string, Host>();

  function release(name: string, host: Host): void {
    // Handed on, not given back: one who comes just now cannot take it from one who waits.
    const next = host.waiting.shift();
    if (next) next();
    else if (--host.held === 0) hosts.delete(name);
  }

  return {
    async acquire(name, signal) {
      signal?.throwIfAborted();
      const host = hosts.get(name) ?? { held: 0, waiting: [] };
      hosts.set(name, host);
      if (host.held < perHost) host.held++;
      else await turn(host, signal);
      let released = false;
      return () => {
        if (!released) release(name, host);
        released = true;
      };
    },
  };
}

function turn(host: Host, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const go = () => {
      signal?.removeEventListener("abort", leave);
      resolve();
    };
    const leave = () => {
      host.waiting.splice(host.waiting.indexOf(go), 1);
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", leave, { once: true });
    host.waiting.push(go);
  });
}
