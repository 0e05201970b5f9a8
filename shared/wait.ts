import { setTimeout as sleep } from "node:timers/promises";

const SHORTEST_MS = 25;
const LONGEST_MS = 250;

/** Asks again and again, ever more slowly, until it is so or the time is over; tells whether it is so. */
export async function waitFor(isSo: () => Promise<boolean>, limitMs: number): Promise<boolean> {
  const end = Date.now() + limitMs;
  for (let pause = SHORTEST_MS; ; pause = Math.min(pause * 1.5, LONGEST_MS)) {
    if (await isSo()) return true;
    const left = end - Date.now();
    if (left <= 0) return false;
    await sleep(Math.min(pause, left));
  }
}
