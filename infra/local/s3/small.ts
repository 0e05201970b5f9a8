import type { LocalDatabase } from "../database.ts";
import { numberOf } from "./schema.ts";

/**
 * Which bodies lie in the database and not in files of their own: written with the row that makes them visible, they cost no
 * write to the disk but that of the commit, which they share.
 */
export type SmallLimits = {
  /** Up to this size in any case … */
  alwaysBytes: number;
  /** … and up to this one as long as all that lie there come to less than `roomBytes`. */
  withRoomBytes: number;
  roomBytes: number;
};

/**
 * A new generation of the database copies all that lies in it, while nothing else runs: 0.2 to 0.5 s for 100 MB. So what is
 * longer has its share limited; of all packages of a Debian those of up to 16 KB come to 130 MB.
 */
export const SMALL_LIMITS: SmallLimits = { alwaysBytes: 16 << 10, withRoomBytes: 128 << 10, roomBytes: 256 << 20 };

export type SmallBodies = {
  fits(sizeBytes: number): boolean;
  /** In the transaction that refers to it. */
  put(dataId: number, bytes: Uint8Array): void;
  get(dataId: number): Uint8Array | undefined;
  /** False where it does not lie here. */
  remove(dataId: number): boolean;
};

export function openSmallBodies(db: LocalDatabase, limits: SmallLimits = SMALL_LIMITS): SmallBodies {
  // SQLite knows the length of a value without reading it.
  const row = db.statement("SELECT coalesce(sum(length(bytes)), 0) AS held FROM object_bytes").get();
  // An estimate: what a transaction that fails took with it or brought is not seen.
  let heldBytes = row ? numberOf(row, "held") : 0;

  function lengthOf(dataId: number): number | undefined {
    const found = db.statement("SELECT length(bytes) AS size FROM object_bytes WHERE data_id = ?").get(dataId);
    return found && numberOf(found, "size");
  }

  return {
    fits: (sizeBytes) =>
      sizeBytes <= limits.alwaysBytes ||
      (sizeBytes <= limits.withRoomBytes && heldBytes + sizeBytes <= limits.roomBytes),
    put(dataId, bytes) {
      db.statement("INSERT INTO object_bytes VALUES (?, ?)").run(dataId, bytes);
      heldBytes += bytes.length;
    },
    get(dataId) {
      const bytes = db.statement("SELECT bytes FROM object_bytes WHERE data_id = ?").get(dataId)?.bytes;
      return bytes instanceof Uint8Array ? bytes : undefined;
    },
    remove(dataId) {
      const sizeBytes = lengthOf(dataId);
      if (sizeBytes === undefined) return false;
      db.statement("DELETE FROM object_bytes WHERE data_id = ?").run(dataId);
      heldBytes -= sizeBytes;
      return true;
    },
  };
}
