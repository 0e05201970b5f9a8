/** Where a part lies in its file. Numbers count from 1. */
export type Span = { readonly number: number; readonly offset: number; readonly sizeBytes: number };

/** A file cut into parts of one size; the last has what is left. */
export function spansOf(sizeBytes: number, partBytes: number): Span[] {
  return Array.from({ length: Math.ceil(sizeBytes / partBytes) }, (_, index) => {
    const offset = index * partBytes;
    return { number: index + 1, offset, sizeBytes: Math.min(partBytes, sizeBytes - offset) };
  });
}
