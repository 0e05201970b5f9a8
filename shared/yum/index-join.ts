import { AppError } from "../error.ts";
import type { PrimaryPart, RpmPart } from "./index-packages.ts";

/** A package with its parts of all three indexes; a part is missing where the repository has no such index. */
export type JoinedRpm = { primary: PrimaryPart; filelists?: RpmPart; other?: RpmPart };

/** Each begins its index anew: what does not fit into memory at once is read again. */
export type IndexStreams = {
  primary: () => AsyncIterable<PrimaryPart>;
  filelists?: (() => AsyncIterable<RpmPart>) | undefined;
  other?: (() => AsyncIterable<RpmPart>) | undefined;
};

const KINDS = ["primary", "filelists", "other"] as const;
type Kind = (typeof KINDS)[number];

/** The parts of one package that wait for the rest; of a package that is listed twice there are two of each. */
type Waiting = { primary: PrimaryPart[]; filelists: RpmPart[]; other: RpmPart[]; bytes: number };

/**
 * Joins the three indexes by pkgid. createrepo writes them in one order, so one package of each is in memory at a time. Where
 * the orders differ, parts wait for theirs, at most `maxBytes` of them: beyond, the longest waiting are let go and only their
 * sizes kept, and once the streams are through they are read again for as many of these packages at a time as fit.
 * So packages may come in another order than any index has.
 * @throws AppError `unprocessable` when an index lacks a package that another has
 */
export async function* joinIndexes(
  streams: IndexStreams,
  { where, maxBytes = 64 * 1024 * 1024 }: { where: string; maxBytes?: number },
): AsyncGenerator<JoinedRpm, void> {
  const late = new Map<string, number>();
  const first = new Join(streams, maxBytes, where);
  yield* first.run((pkgid) => !late.has(pkgid), late);
  while (late.size > 0) {
    const batch = nextBatch(late, maxBytes);
    yield* new Join(streams, Number.POSITIVE_INFINITY, where).run((pkgid) => batch.has(pkgid));
    for (const pkgid of batch) late.delete(pkgid);
  }
}

/** As many packages as fit, but one at least. */
function nextBatch(late: ReadonlyMap<string, number>, maxBytes: number): Set<string> {
  const batch = new Set<string>();
  let bytes = 0;
  for (const [pkgid, size] of late) {
    bytes += size;
    if (batch.size > 0 && bytes > maxBytes) break;
    batch.add(pkgid);
  }
  return batch;
}

class Join {
  readonly #kinds: readonly Kind[];
  readonly #streams: IndexStreams;
  readonly #maxBytes: number;
  readonly #where: string;
  readonly #waiting = new Map<string, Waiting>();
  #bytes = 0;

  constructor(streams: IndexStreams, maxBytes: number, where: string) {
    this.#streams = streams;
    this.#kinds = KINDS.filter((kind) => streams[kind] !== undefined);
    this.#maxBytes = maxBytes;
    this.#where = where;
  }

  /** Reads the indexes in step. Parts of packages that are let go are counted into `late`. */
  async *run(
    wanted: (pkgid: string) => boolean,
    late: Map<string, number> = new Map(),
  ): AsyncGenerator<JoinedRpm, void> {
    const open = this.#kinds.map((kind) => ({ kind, iterator: this.#open(kind)[Symbol.asyncIterator]() }));
    try {
      for (let going = open; going.length > 0; ) {
        const still: typeof open = [];
        for (const one of going) {
          const next = await one.iterator.next();
          if (next.done) continue;
          still.push(one);
          const part = next.value;
          if (wanted(part.pkgid)) {
            const joined = this.#add(one.kind, part);
            if (joined) yield joined;
          } else if (late.has(part.pkgid)) {
            late.set(part.pkgid, (late.get(part.pkgid) ?? 0) + part.chunk.length);
          }
        }
        this.#letGo(late);
        going = still;
      }
    } finally {
      for (const { iterator } of open) await iterator.return?.();
    }
    for (const [pkgid, parts] of this.#waiting) throw this.#lacking(pkgid, parts);
  }

  #open(kind: Kind): AsyncIterable<RpmPart> {
    return this.#streams[kind]?.() ?? this.#streams.primary();
  }

  #add(kind: Kind, part: RpmPart): JoinedRpm | undefined {
    const parts = this.#waiting.get(part.pkgid) ?? { primary: [], filelists: [], other: [], bytes: 0 };
    if (kind !== "primary") parts[kind].push(part);
    else if (isPrimary(part)) parts.primary.push(part);
    parts.bytes += part.chunk.length;
    this.#bytes += part.chunk.length;
    this.#waiting.set(part.pkgid, parts);
    if (!this.#kinds.every((one) => parts[one].length > 0)) return undefined;
    const [primary, filelists, other] = [parts.primary.shift(), parts.filelists.shift(), parts.other.shift()];
    if (primary === undefined) return undefined;
    const bytes = [primary, filelists, other].reduce((sum, one) => sum + (one?.chunk.length ?? 0), 0);
    parts.bytes -= bytes;
    this.#bytes -= bytes;
    if (KINDS.every((one) => parts[one].length === 0)) this.#waiting.delete(part.pkgid);
    return { primary, ...(filelists ? { filelists } : {}), ...(other ? { other } : {}) };
  }

  #letGo(late: Map<string, number>): void {
    for (const [pkgid, { bytes }] of this.#waiting) {
      if (this.#bytes <= this.#maxBytes) return;
      this.#waiting.delete(pkgid);
      this.#bytes -= bytes;
      late.set(pkgid, bytes);
    }
  }

  #lacking(pkgid: string, parts: Waiting): AppError {
    const there = this.#kinds.filter((kind) => parts[kind].length > 0);
    const lacking = this.#kinds.filter((kind) => parts[kind].length === 0);
    const name = there.map((kind) => parts[kind][0]?.name).find(Boolean);
    const message = `${this.#where}: package ${name} (${pkgid}) is in ${there.join(" and ")} but not in ${lacking.join(" and ")}`;
    return new AppError("unprocessable", message, { pkgid });
  }
}

function isPrimary(part: RpmPart): part is PrimaryPart {
  return "href" in part;
}
