import { closeSync, openSync, readSync } from "node:fs";

/** The header of a WAL, and of each of its frames (https://www.sqlite.org/fileformat2.html#the_write_ahead_log). */
const WAL_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const MAGIC = [0x377f0682, 0x377f0683];

/**
 * The lengths, rising, at which the WAL could end: after each committed transaction. Frames of an earlier use of the file (other
 * salts) and a torn one at the end are not counted; SQLite itself checks the checksums.
 */
export function commitEnds(walPath: string): number[] {
  const file = openSync(walPath, "r");
  try {
    const header = Buffer.alloc(WAL_HEADER_BYTES);
    if (readSync(file, header, 0, WAL_HEADER_BYTES, 0) < WAL_HEADER_BYTES) return [];
    if (!MAGIC.includes(header.readUInt32BE(0))) return [];
    const pageBytes = header.readUInt32BE(8);
    const salts = header.subarray(16, 24);
    const frame = Buffer.alloc(FRAME_HEADER_BYTES + pageBytes);
    const ends: number[] = [];
    for (let at = WAL_HEADER_BYTES; ; at += frame.length) {
      if (readSync(file, frame, 0, frame.length, at) < frame.length) return ends;
      if (!frame.subarray(8, 16).equals(salts)) return ends;
      // The size of the database in pages after a commit; 0 in frames that do not end a transaction.
      if (frame.readUInt32BE(4) !== 0) ends.push(at + frame.length);
    }
  } finally {
    closeSync(file);
  }
}
