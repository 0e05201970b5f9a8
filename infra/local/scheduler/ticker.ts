import type { LocalDatabase } from "../database.ts";
import type { Due, ScheduleRows } from "./schedules.ts";

/** A timer does not count while the machine sleeps, and a clock may be set: so it is looked again this often at least. */
const LONGEST_WAIT_MS = 60_000;
const AT_ONCE = 100;
const RETRY_MS = 5_000;

export type Ticker = {
  /** To be told when a schedule was made, changed or removed. */
  changed(): void;
  stop(): void;
};

export type TickerOptions = {
  db: LocalDatabase;
  rows: ScheduleRows;
  /** Sends what is due; called within the transaction that sets the schedule's next time. */
  send: (due: Due) => void;
  now: () => number;
  onFault: (error: unknown) => void;
};

/** One timer, to the earliest time of all. What was missed while nothing ran is sent once, at start. */
export function startTicker({ db, rows, send, now, onFault }: TickerOptions): Ticker {
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  function wait(leastMs = 0): void {
    clearTimeout(timer);
    if (stopped) return;
    const earliest = rows.earliest();
    if (earliest === undefined) return;
    timer = setTimeout(tick, Math.min(Math.max(earliest - now(), leastMs), LONGEST_WAIT_MS));
    timer.unref();
  }

  function tick(): void {
    if (stopped) return;
    let failed = false;
    try {
      let count: number;
      do count = db.transaction(sendDue);
      while (count === AT_ONCE);
    } catch (error) {
      failed = true;
      onFault(error);
    }
    try {
      wait(failed ? RETRY_MS : 0);
    } catch (error) {
      onFault(error);
      timer = setTimeout(tick, RETRY_MS);
      timer.unref();
    }
  }

  function sendDue(): number {
    const due = rows.due(now(), AT_ONCE);
    for (const one of due) {
      try {
        // A savepoint of its own: one that cannot be sent holds up no other.
        db.transaction(() => send(one));
      } catch (error) {
        onFault(error);
      }
      rows.advance(one, now());
    }
    return due.length;
  }

  tick();
  return {
    changed: () => wait(),
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
