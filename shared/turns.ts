/** Those who wait for their turn at something, by what it is: the last of them. */
type Waiting = Map<string, Promise<unknown>>;

const waiting = new WeakMap<object, Waiting>();

/**
 * Does work on `thing` when all that this process was asked to do on it before is done, whatever came of that. It keeps those of one
 * process from racing each other in vain; others may still be at it, so what decides a race is elsewhere. Work must not wait for
 * other work on the same thing.
 */
export async function inTurn<T>(process: object, thing: string, work: () => Promise<T>): Promise<T> {
  const turns = waiting.get(process) ?? new Map();
  waiting.set(process, turns);
  const before = turns.get(thing) ?? Promise.resolve();
  const own = before.then(work, work);
  turns.set(thing, own);
  try {
    return await own;
  } finally {
    if (turns.get(thing) === own) turns.delete(thing);
  }
}
