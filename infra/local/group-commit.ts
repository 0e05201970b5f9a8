/** Runs `work` in a transaction, or in a savepoint of the one that is open; rolls that back when it throws. */
type Transaction = <T>(work: () => T) => T;

type Waiting = {
  run(): void;
  /** Tells what became of it; `failure` is that of the whole transaction. */
  answer(failure?: { error: unknown }): void;
};

export type GroupCommit = {
  together<T>(work: () => T): Promise<T>;
  /** Runs what waits, now. */
  flush(): void;
};

/**
 * Joins the works of one turn of the event loop in one transaction: a commit waits for the disk, and all that asked while it did
 * share the next one. Nothing runs between two of them but other works, so a reader sees all of a group or none.
 */
export function groupCommit(transaction: Transaction, isOpen: () => boolean): GroupCommit {
  let waiting: Waiting[] = [];

  function flush(): void {
    const group = waiting;
    waiting = [];
    if (group.length === 0) return;
    let failure: { error: unknown } | undefined;
    try {
      transaction(() => {
        for (const one of group) one.run();
      });
    } catch (error) {
      failure = { error };
    }
    for (const one of group) one.answer(failure);
  }

  function together<T>(work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      let outcome: { value: T } | { error: unknown } | undefined;
      waiting.push({
        run() {
          try {
            outcome = { value: transaction(work) };
          } catch (error) {
            // A full disk may have ended the transaction of all.
            if (!isOpen()) throw error;
            outcome = { error };
          }
        },
        answer(failure) {
          if (outcome && "error" in outcome) reject(outcome.error);
          else if (failure) reject(failure.error);
          else if (outcome) resolve(outcome.value);
        },
      });
      // Behind the reading of all sockets that are ready: as many as possible come along.
      if (waiting.length === 1) setImmediate(flush);
    });
  }

  return { together, flush };
}
