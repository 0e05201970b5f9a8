/** Text that takes the place of the bytes from `start` to `end`. */
export type Patch = { start: number; end: number; text: string };

/** The bytes with the patches laid in, which may come in any order but not overlap; and `ending` behind them. */
export function patched(bytes: Buffer, patches: readonly Patch[], ending = ""): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (const { start, end, text } of patches.toSorted((a, b) => a.start - b.start)) {
    parts.push(bytes.subarray(at, start), Buffer.from(text));
    at = end;
  }
  return Buffer.concat([...parts, bytes.subarray(at), Buffer.from(ending)]);
}
