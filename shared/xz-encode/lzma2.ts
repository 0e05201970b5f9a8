import { MatchFinder } from "./matches.ts";
import { Model, PROPERTIES } from "./model.ts";
import { LITERAL, Parser, REPS } from "./parse.ts";
import { Prices } from "./prices.ts";
import { MOST_CHUNK_BYTES, RangeEncoder } from "./range.ts";

/** No step adds so many bytes to a chunk. */
const MOST_STEP_BYTES = 64;
/** LZMA2 takes 2 MB a chunk; the caller gets a turn after each of these. */
const MOST_PLAIN_BYTES = 128 * 1024;

/** A chunk with new properties, behind which nothing before is referred to; one that goes on. Both count from there. */
const FIRST = 0xe0;
const FURTHER = 0x80;

/**
 * LZMA2 data of these bytes: the chunks one by one, and the mark of the end. Each takes the time of some 100 KB, so the caller
 * can let others work in between.
 */
export function* lzma2Chunks(bytes: Uint8Array): Generator<Uint8Array> {
  const range = new RangeEncoder();
  const model = new Model(range);
  const prices = new Prices(model.probs);
  const parser = new Parser(bytes, new MatchFinder(bytes), model, prices);
  let at = 0;
  let next = 0;
  while (at < bytes.length) {
    const start = at;
    while (at < bytes.length && at - start < MOST_PLAIN_BYTES && range.sizeBytes < MOST_CHUNK_BYTES - MOST_STEP_BYTES) {
      if (next === parser.count) {
        parser.parse(at);
        next = 0;
      }
      const step = parser.steps[next] as number;
      const length = parser.lengths[next] as number;
      next += 1;
      if (step === LITERAL) {
        model.literal(bytes, at);
      } else {
        if (step < REPS) model.rep(step, length);
        else model.match(step - REPS, length);
        prices.matched();
      }
      at += length;
    }
    yield chunk(start === 0, at - start, range.finish());
  }
  yield Uint8Array.of(0);
}

function chunk(isFirst: boolean, plainBytes: number, packed: Uint8Array): Uint8Array {
  const [plain, size] = [plainBytes - 1, packed.length - 1];
  const kind = isFirst ? FIRST : FURTHER;
  const head = [kind | (plain >>> 16), (plain >>> 8) & 0xff, plain & 0xff, size >>> 8, size & 0xff];
  return Buffer.concat([Uint8Array.from(isFirst ? [...head, PROPERTIES] : head), packed]);
}
