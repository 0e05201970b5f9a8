import { align } from "./align.ts";
import { LONGEST_MATCH, windowBits } from "./matches.ts";
import { Script, UNKNOWN } from "./script.ts";

// To find how a text is told best takes a hundred times as long as to tell it. So what an earlier text was told by is taken over
// wherever the new one has the same bytes. Nothing hangs on its being right: each match is compared before it is used.

/** Parts of texts that have equal ids have equal bytes. */
export type Part = { readonly id: string; readonly plainBytes: number };

/** A text, its parts, and what it was told by. */
export type Told = { readonly text: Uint8Array; readonly script: Script };

/** Bytes that stand in the earlier text `from` there and in the new one from `to` on. */
export type Stretch = { from: number; to: number; length: number };

/** What a text has in common with one of several earlier ones. */
export type Share = { readonly earlier: number; readonly stretches: readonly Stretch[] };

type Parts = readonly Part[];

/**
 * What a text has in common with earlier ones that lay one behind the other, by their parts and in their order. Where they share none,
 * the one in its own `place` is looked at from both ends.
 */
export function sharesOf(parts: Parts, earlier: readonly Parts[], place: number): Share[] {
  const places = placesOf(earlier);
  const shares: { earlier: number; stretches: Stretch[] }[] = [];
  const sizeBytes = bytesOf(parts);
  let to = 0;
  let before = -1;
  for (const { id, plainBytes } of parts) {
    const found = places.get(id);
    if (found && found.index > before) {
      before = found.index;
      const share = shares.at(-1);
      const last = share?.stretches.at(-1);
      const stretch = { from: found.start, to, length: plainBytes };
      if (share?.earlier !== found.earlier || !last) shares.push({ earlier: found.earlier, stretches: [stretch] });
      else if (last.to + last.length === to && last.from + last.length === found.start) last.length += plainBytes;
      else share.stretches.push(stretch);
    }
    to += plainBytes;
  }
  if (shares.length === 0 && earlier[place]) shares.push({ earlier: place, stretches: [] });
  // A part that changed at an end of the text begins or ends as it did before.
  shares[0]?.stretches.unshift({ from: 0, to: 0, length: 0 });
  const last = shares.at(-1);
  last?.stretches.push({ from: bytesOf(earlier[last.earlier] ?? []), to: sizeBytes, length: 0 });
  return shares;
}

function placesOf(earlier: readonly Parts[]): Map<string, { index: number; earlier: number; start: number }> {
  const places = new Map<string, { index: number; earlier: number; start: number }>();
  for (const [number, parts] of earlier.entries()) {
    let start = 0;
    for (const { id, plainBytes } of parts) {
      places.set(id, { index: places.size, earlier: number, start });
      start += plainBytes;
    }
  }
  return places;
}

function bytesOf(parts: Parts): number {
  return parts.reduce((sum, { plainBytes }) => sum + plainBytes, 0);
}

/** Makes the script of a text from those of earlier ones, which are given in the order of its shares of them. */
export class Retelling {
  readonly #text: Uint8Array;
  readonly #script = new Script();
  #covered = 0;

  constructor(text: Uint8Array) {
    this.#text = text;
  }

  /** Takes over what stands in these stretches; from where the last ones ended up to `most` they are made as long as they can be. */
  take(earlier: Told, stretches: readonly Stretch[], most: number): void {
    this.#script.patchedBytes += earlier.script.patchedBytes;
    const grown = this.#grown(earlier.text, this.#refined(earlier.text, stretches), most);
    for (const [index, stretch] of grown.entries()) {
      this.#script.push(this.#covered, stretch.to - this.#covered, UNKNOWN);
      this.#takeStretch(earlier.script, grown, index);
      this.#covered = stretch.to + stretch.length;
    }
  }

  end(): Script {
    this.#script.push(this.#covered, this.#text.length - this.#covered, UNKNOWN);
    return this.#script;
  }

  /** Where parts changed in several places, what lies between those is found by its lines. */
  #refined(earlier: Uint8Array, stretches: readonly Stretch[]): Stretch[] {
    return stretches.flatMap((stretch, index) => {
      const next = stretches[index + 1];
      if (!next) return [stretch];
      const before = { start: stretch.from + stretch.length, end: next.from };
      const now = { start: stretch.to + stretch.length, end: next.to };
      return [stretch, ...align(earlier, before, this.#text, now)];
    });
  }

  #grown(earlier: Uint8Array, stretches: readonly Stretch[], most: number): Stretch[] {
    const text = this.#text;
    let covered = this.#covered;
    const grown: Stretch[] = [];
    for (const [index, { from, to, length }] of stretches.entries()) {
      let back = 0;
      while (to - back > covered && from - back > 0 && text[to - back - 1] === earlier[from - back - 1]) back += 1;
      let end = length;
      const next = stretches[index + 1]?.to ?? most;
      while (to + end < next && from + end < earlier.length && text[to + end] === earlier[from + end]) end += 1;
      covered = to + end;
      const last = grown.at(-1);
      // A match that runs over the border of two is one still.
      if (last && last.to + last.length === to - back && last.from + last.length === from - back)
        last.length += back + end;
      else grown.push({ from: from - back, to: to - back, length: back + end });
    }
    return grown;
  }

  #takeStretch(script: Script, stretches: readonly Stretch[], index: number): void {
    const { from, to, length } = stretches[index] as Stretch;
    const end = from + length;
    for (let entry = script.firstBehind(from); entry < script.count; entry += 1) {
      const start = Math.max(from, script.starts[entry] as number);
      if (start >= end) return;
      const wanted = Math.min(end, script.endOf(entry)) - start;
      const source = start - (script.distances[entry] as number);
      this.#takeMatch(start - from + to, wanted, source, stretches, index);
    }
  }

  /** A match of the earlier text with bytes from `source` on there: wherever those are now. */
  #takeMatch(at: number, wanted: number, source: number, stretches: readonly Stretch[], own: number): void {
    const mostBack = (1 << windowBits(this.#text.length)) - 1;
    const held = lastFrom(stretches, source, own);
    let [longest, distance] = [0, UNKNOWN];
    for (const near of [held, held + 1]) {
      const stretch = stretches[near];
      if (longest === wanted || near > own || stretch === undefined) continue;
      const back = at - (source - stretch.from + stretch.to);
      if (back < 1 || back > at || back > mostBack) continue;
      const same = this.#sameBytes(at, back, wanted);
      if (same > longest) [longest, distance] = [same, back];
    }
    if (longest > 0) this.#script.push(at, longest, distance);
    // A single byte is told as it is.
    if (wanted > 1) this.#script.push(at + longest, wanted - longest, UNKNOWN);
  }

  #sameBytes(at: number, back: number, wanted: number): number {
    const text = this.#text;
    const limit = Math.min(wanted, LONGEST_MATCH);
    let length = 0;
    while (length < limit && text[at + length] === text[at - back + length]) length += 1;
    return length;
  }
}

/** The last stretch that begins at or before a position; -1 where none does. At most `most`. */
function lastFrom(stretches: readonly Stretch[], position: number, most: number): number {
  let [low, high] = [-1, most];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((stretches[middle] as Stretch).from <= position) low = middle;
    else high = middle - 1;
  }
  return low;
}
