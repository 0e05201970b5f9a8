import { ChainFinder } from "./chain-finder.ts";
import { Model, PROPERTIES } from "./model.ts";
import { LITERAL, Parser, REPS } from "./parse.ts";
import { Prices } from "./prices.ts";
import { MOST_CHUNK_BYTES, RangeEncoder } from "./range.ts";
import { Script, UNKNOWN } from "./script.ts";
import { TreeFinder } from "./tree-finder.ts";

/** No step adds so many bytes to a chunk. */
const MOST_STEP_BYTES = 64;
/** LZMA2 takes 2 MB a chunk; the caller gets a turn after each of these. */
const MOST_PLAIN_BYTES = 128 * 1024;

/** A chunk with new properties, behind which nothing before is referred to; one that goes on. Both count from there. */
const FIRST = 0xe0;
const FURTHER = 0x80;

/**
 * LZMA2 data of these bytes: the chunks one by one, and the mark of the end. Each takes the time of some 100 KB, so the caller
 * can let others work in between. What is known of how to tell them is not looked for.
 */
export function* lzma2Chunks(bytes: Uint8Array, known?: Script): Generator<Uint8Array> {
  const steps = new Steps(bytes, known);
  let at = 0;
  while (at < bytes.length) {
    const start = at;
    while (
      at < bytes.length &&
      at - start < MOST_PLAIN_BYTES &&
      steps.range.sizeBytes < MOST_CHUNK_BYTES - MOST_STEP_BYTES
    )
      at += steps.take(at);
    yield chunk(start === 0, at - start, steps.range.finish());
  }
  yield Uint8Array.of(0);
}

/** Writes a text step by step: as the script has it, and where that knows nothing, as the parser finds it. */
class Steps {
  readonly range: RangeEncoder = new RangeEncoder();
  readonly #bytes: Uint8Array;
  readonly #model = new Model(this.range);
  readonly #prices = new Prices(this.#model.probs);
  readonly #parser: Parser;
  readonly #script: Script;
  #entry = 0;
  /** Of the parser's steps. */
  #next = 0;

  constructor(bytes: Uint8Array, known: Script | undefined) {
    const finder = known ? new ChainFinder(bytes) : new TreeFinder(bytes);
    this.#bytes = bytes;
    this.#script = known ?? Script.unknown(bytes.length);
    this.#parser = new Parser(bytes, finder, this.#model, this.#prices);
  }

  /** Writes the step at a position: how many bytes it tells. */
  take(at: number): number {
    const { lengths, steps, count } = this.#parser;
    if (this.#next < count) {
      const length = lengths[this.#next] as number;
      this.#write(at, steps[this.#next] as number, length);
      this.#next += 1;
      return length;
    }
    const script = this.#script;
    while (this.#entry < script.count && script.endOf(this.#entry) <= at) this.#entry += 1;
    if (this.#entry === script.count || (script.starts[this.#entry] as number) > at) {
      this.#write(at, LITERAL, 1);
      return 1;
    }
    const end = script.endOf(this.#entry);
    const distance = script.distances[this.#entry] as number;
    if (distance === UNKNOWN) {
      this.#parser.parse(at, end);
      this.#next = 0;
      return this.take(at);
    }
    this.#write(at, this.#stepOf(distance - 1, end - at), end - at);
    return end - at;
  }

  #stepOf(distance: number, length: number): number {
    const rep = this.#model.reps.indexOf(distance);
    if (length > 1) return rep < 0 ? distance + REPS : rep;
    return rep === 0 ? 0 : LITERAL;
  }

  #write(at: number, step: number, length: number): void {
    const model = this.#model;
    if (step === LITERAL) {
      model.literal(this.#bytes, at);
      return;
    }
    if (step < REPS) model.rep(step, length);
    else model.match(step - REPS, length);
    this.#prices.matched();
  }
}

function chunk(isFirst: boolean, plainBytes: number, packed: Uint8Array): Uint8Array {
  const [plain, size] = [plainBytes - 1, packed.length - 1];
  const kind = isFirst ? FIRST : FURTHER;
  const head = [kind | (plain >>> 16), (plain >>> 8) & 0xff, plain & 0xff, size >>> 8, size & 0xff];
  return Buffer.concat([Uint8Array.from(isFirst ? [...head, PROPERTIES] : head), packed]);
}
