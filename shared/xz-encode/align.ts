import { crc32 } from "node:zlib";
import type { Stretch } from "./retell.ts";

const LINE_FEED = 0x0a;
/** One line in so many ends a piece, whatever stands around it. */
const ENDING = 4;

/** Bytes `start … end` of a text. */
type Range = { readonly start: number; readonly end: number };

/**
 * Stretches that two ranges of texts have in common, in the order of both: runs of lines that are in each just once. They are told by
 * checksums, so now and then one may be wrong.
 */
export function align(earlier: Uint8Array, before: Range, text: Uint8Array, now: Range): Stretch[] {
  const places = onceIn(earlier, before);
  const stretches: Stretch[] = [];
  let reached = before.start;
  for (const [id, piece] of onceIn(text, now)) {
    const place = places.get(id);
    const length = piece.end - piece.start;
    if (!place || place.start < reached || place.end - place.start !== length) continue;
    reached = place.end;
    const last = stretches.at(-1);
    if (last && last.to + last.length === piece.start && last.from + last.length === place.start) last.length += length;
    else stretches.push({ from: place.start, to: piece.start, length });
  }
  return stretches;
}

/** The pieces of a range that are there once, by their checksum, in their order. */
function onceIn(text: Uint8Array, { start, end }: Range): Map<number, Range> {
  const pieces = new Map<number, Range>();
  const seen = new Set<number>();
  for (let at = start; at < end; ) {
    const from = at;
    for (let line = 1; at < end && line % ENDING !== 0; ) {
      const next = text.indexOf(LINE_FEED, at) + 1;
      const lineEnd = next === 0 || next > end ? end : next;
      line = crc32(text.subarray(at, lineEnd));
      at = lineEnd;
    }
    const id = crc32(text.subarray(from, at));
    if (seen.has(id)) pieces.delete(id);
    else pieces.set(id, { start: from, end: at });
    seen.add(id);
  }
  return pieces;
}
