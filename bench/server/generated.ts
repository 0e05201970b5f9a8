import { rewriteBinaryStanza } from "../../shared/apt/index-rewrite.ts";
import { parseSha256, rangesOf, type Sha256, sha256Of } from "../../shared/blob.ts";
import type { Entry } from "../../shared/tree/entry.ts";
import { rowsByHash } from "../../shared/tree/hashes.ts";
import { aptKey, PACKAGES, yumKey } from "../../shared/tree/layout.ts";
import { packageChunks } from "../../shared/yum/chunks.ts";
import { readRpm } from "../../shared/yum/rpm.ts";
import { lettersAt } from "../inputs/added.ts";
import { generateStanzas } from "../inputs/generate.ts";
import { rpmsOf } from "../inputs/rpms.ts";

/** Of so many all others are copies under other names and hashes: enough for the sizes to be distributed as Debian's are. */
const PATTERNS = 2_000;
const RANK_BITS = 48;

type Maker = (nth: number, sha256: Sha256) => Entry;

/** The entries of a tree of any size, in the order of their keys, and the rows of its index by hash in theirs: none is kept. */
export type Generated = { entries(): AsyncGenerator<Entry>; hashes(): AsyncGenerator<Entry> };

export async function generatedTree(type: "apt" | "yum", count: number): Promise<Generated> {
  const make = type === "apt" ? aptMaker(count) : await yumMaker(count);
  const { rankOf, atRank } = shuffle(count);
  const entry = (nth: number) => make(nth, hashOf(nth, rankOf(nth), count));
  return {
    async *entries() {
      for (let nth = 0; nth < count; nth += 1) yield entry(nth);
    },
    async *hashes() {
      for (let rank = 0; rank < count; rank += 1) yield* rowsByHash(entry(atRank(rank)));
    },
  };
}

/** What is of all architectures sorts before the rest: the first half is that. */
function halves<T>(patterns: readonly T[], isFirst: (pattern: T) => boolean, count: number): (nth: number) => T {
  const [first, second] = [patterns.filter(isFirst), patterns.filter((one) => !isFirst(one))];
  return (nth) => {
    const half = nth < count / 2 ? first : second;
    const pattern = half[nth % half.length];
    if (pattern === undefined) throw new Error("no pattern");
    return pattern;
  };
}

/** In the order of their numbers within each half, and spread over the alphabet as the names of what is added are. */
function nameOf(nth: number, name: string, count: number): string {
  const half = Math.ceil(count / 2);
  const place = nth < half ? nth / half : (nth - half) / (count - half);
  return `${lettersAt(place)}${String(nth).padStart(7, "0")}-${name}`;
}

function aptMaker(count: number): Maker {
  const patternOf = halves(generateStanzas(PATTERNS), ({ architecture }) => architecture === "all", count);
  return (nth, sha256) => {
    const { name, version, architecture, control } = patternOf(nth);
    const own = nameOf(nth, name, count);
    const filename = `${own}_${version}_${architecture}.deb`;
    const sizeBytes = control.length;
    const text = Buffer.from(control.replace(/^Package:.*$/m, `Package: ${own}`));
    return {
      key: aptKey({ suite: "stable", component: "main" }, architecture, own, version),
      files: [{ name: filename, sha256, sizeBytes }],
      chunks: { [PACKAGES]: rewriteBinaryStanza(text, { filename: `pool/${sha256}/${filename}`, sizeBytes, sha256 }) },
    };
  };
}

async function yumMaker(count: number): Promise<Maker> {
  const patterns = [];
  for (const { bytes } of rpmsOf(generateStanzas(PATTERNS))) {
    patterns.push({ rpm: await readRpm(rangesOf(bytes)), sizeBytes: bytes.length });
  }
  const patternOf = halves(patterns, ({ rpm }) => rpm.architecture === "noarch", count);
  return (nth, sha256) => {
    const { rpm: pattern, sizeBytes } = patternOf(nth);
    const rpm = { ...pattern, name: nameOf(nth, pattern.name, count) };
    const filename = `${rpm.name}-${rpm.version}-${rpm.release}.${rpm.architecture}.rpm`;
    const href = `pool/${sha256}/${filename}`;
    const chunks = packageChunks({ rpm, sha256, sizeBytes, href, fileTime: rpm.buildTime });
    return {
      key: yumKey(rpm),
      files: [{ name: filename, sha256, sizeBytes }],
      chunks: Object.fromEntries(Object.entries(chunks).map(([kind, text]) => [kind, Buffer.from(text)])),
    };
  };
}

/** Hashes in the order of their ranks, so that a million need not be sorted; as far from each other as real ones on average. */
function hashOf(nth: number, rank: number, count: number): Sha256 {
  const head = Math.floor(((rank + 0.5) / count) * 2 ** RANK_BITS).toString(16);
  return parseSha256(head.padStart(RANK_BITS / 4, "0") + sha256Of(String(nth)).slice(RANK_BITS / 4));
}

/** Neighbours by key are none by hash: steps of about the golden ratio, which meet each number once. */
function shuffle(count: number): { rankOf(nth: number): number; atRank(rank: number): number } {
  let step = Math.max(1, Math.round(count * 0.618));
  while (inverseOf(step, count) === undefined) step += 1;
  const back = inverseOf(step, count) ?? 1;
  return { rankOf: (nth) => (nth * back) % count, atRank: (rank) => (rank * step) % count };
}

/** Undefined where there is none: where both have a divisor. */
function inverseOf(number: number, modulus: number): number | undefined {
  let [low, high, x, y] = [number % modulus, modulus, 1, 0];
  while (low > 0) {
    const times = Math.floor(high / low);
    [low, high] = [high - times * low, low];
    [x, y] = [y - times * x, x];
  }
  return high === 1 ? ((y % modulus) + modulus) % modulus : undefined;
}
