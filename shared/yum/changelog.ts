import { z } from "zod";
import type { Header } from "./header.ts";
import { TAG } from "./tags.ts";
import { textOf } from "./text.ts";

/** `date` in seconds since 1970. */
export const Changelog = z.object({ author: z.string(), date: z.number(), text: z.string() });
export type Changelog = z.infer<typeof Changelog>;

/** createrepo_c's own default. */
const LIMIT = 10;

/** The newest entries, oldest first. Where dates are equal the newer entry's is a second later, as createrepo_c does it. */
export function readChangelogs(header: Header): Changelog[] {
  const dates = header.numbers(TAG.CHANGELOG_TIME, LIMIT);
  const authors = header.strings(TAG.CHANGELOG_NAME, LIMIT);
  const texts = header.strings(TAG.CHANGELOG_TEXT, LIMIT);
  const newestFirst: Changelog[] = [];
  let lastDate = 0;
  for (const [i, date] of dates.entries()) {
    const author = authors[i];
    const text = texts[i];
    if (author === undefined || text === undefined) break;
    if (date === lastDate) postpone(newestFirst, date);
    lastDate = date;
    newestFirst.push({ author: textOf(author.replace(/(?!^) +$/, "")), date, text: textOf(text) });
  }
  return newestFirst.reverse();
}

/** Makes room for another entry of that date: the one before it moves on by a second, and what then collides with that too. */
function postpone(newestFirst: Changelog[], date: number): void {
  for (let i = newestFirst.length - 1, taken = date; newestFirst[i]?.date === taken; i--, taken++) {
    const entry = newestFirst[i];
    if (entry !== undefined) entry.date++;
  }
}
