import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Retelling, sharesOf } from "../../shared/xz-encode/retell.ts";
import type { Script } from "../../shared/xz-encode/script.ts";
import { toldBy, type XzBlock, xzBlockOf, xzStreamOf } from "../../shared/xz-encode/stream.ts";
import { stanzas } from "../support/stanzas.ts";

type Texts = readonly Buffer[];
type Packed = { readonly texts: Texts; readonly block: XzBlock };

const idOf = (text: Buffer) => createHash("sha256").update(text).digest("hex");
const partsOf = (texts: Texts) => texts.map((text) => ({ id: idOf(text), plainBytes: text.length }));
const packed = async (texts: Texts): Promise<Packed> => ({ texts, block: await xzBlockOf(Buffer.concat(texts)) });

/** What is known of texts from earlier blocks that lay one behind the other. */
async function knownOf(texts: Texts, earlier: readonly Packed[], place = 0): Promise<Script> {
  const text = Buffer.concat(texts);
  const earlierParts = earlier.map((block) => partsOf(block.texts));
  const shares = sharesOf(partsOf(texts), earlierParts, place);
  const retelling = new Retelling(text);
  for (const [index, share] of shares.entries()) {
    const { block } = earlier[share.earlier] as Packed;
    retelling.take(await toldBy(block), share.stretches, shares[index + 1]?.stretches[0]?.to ?? text.length);
  }
  return retelling.end();
}

async function retold(texts: Texts, earlier: readonly Packed[]): Promise<Packed> {
  return { texts, block: await xzBlockOf(Buffer.concat(texts), await knownOf(texts, earlier)) };
}

/** As xz itself reads it. */
const read = ({ block }: Packed) =>
  execFileSync("xz", ["-dc"], { input: xzStreamOf([block]), maxBuffer: 64 * 1024 * 1024 });

const leaf = (index: number, count = 60) => stanzas(count, index * 1000);

test("whatever was changed, moved, added or taken away, what is told anew is the new text", async () => {
  const number = fc.integer({ min: 0, max: 159 });
  const edit = fc.record({ at: number, taken: fc.nat(3), added: fc.array(number, { maxLength: 3 }) });
  const edits = fc.array(edit, { maxLength: 5 });
  const lengths = fc.array(fc.integer({ min: 1, max: 80 }), { minLength: 1, maxLength: 5 });
  const textsOf = (numbers: readonly number[], cuts: readonly number[]): Texts => {
    const ends = cuts.map((_, index) => cuts.slice(0, index + 1).reduce((sum, count) => sum + count, 0));
    const parts = [0, ...ends].map((start, index) => numbers.slice(start, ends[index]));
    return parts.map((part) => Buffer.concat(part.map((one) => stanzas(1, one))));
  };
  const all = Array.from({ length: 160 }, (_, index) => index);
  let known = 0;
  await fc.assert(
    fc.asyncProperty(edits, lengths, lengths, async (changes, cuts, cutsAfter) => {
      const before = textsOf(all, cuts);
      const blocks = [await packed(before.slice(0, 2)), await packed(before.slice(2))];
      const numbers = changes.reduce((now, { at, taken, added }) => now.toSpliced(at, taken, ...added), all);
      const after = await retold(textsOf(numbers, cutsAfter), blocks);
      if (after.block.patchedBytes > 0) known += 1;
      expect(Buffer.from((await toldBy(after.block)).text).equals(Buffer.concat(after.texts))).toBe(true);
    }),
    // What is random may have nothing in common with the text before: one that does is always among them.
    { numRuns: 15, examples: [[[{ at: 70, taken: 1, added: [3] }], [40, 40, 40], [40, 40, 40]]] },
  );
  expect(known).toBeGreaterThan(0);
});

test("what is known of another text does no harm", async () => {
  const text = leaf(1);
  const other = (await packed([leaf(2)])).block;
  const retelling = new Retelling(text);
  const { length } = leaf(2);
  retelling.take(await toldBy(other), [{ from: 0, to: 0, length: Math.min(length, text.length) }], text.length);
  const block = await xzBlockOf(text, retelling.end());
  expect(read({ texts: [text], block }).equals(text)).toBe(true);
});

test("a stanza that changed, wherever it stands, is all that is looked for, and what refers to it", async () => {
  const before = await packed([leaf(0), leaf(1), leaf(2)]);
  for (const changed of [0, 1, 2]) {
    for (const at of [0, 30, 59]) {
      const stanza = stanzas(1, 5000 + at);
      const number = changed * 1000;
      const text = Buffer.concat([stanzas(at, number), stanza, stanzas(59 - at, number + at + 1)]);
      const texts = before.texts.map((old, index) => (index === changed ? text : old));
      const known = await knownOf(texts, [before]);
      expect(known.patchedBytes).toBeLessThan(6 * stanza.length);
      const after = await retold(texts, [before]);
      expect(read(after).equals(Buffer.concat(texts))).toBe(true);
      const anew = await packed(texts);
      expect(after.block.bytes.length).toBeLessThan(anew.block.bytes.length * 1.01);
    }
  }
});

test("where every part changed in several places, those places alone are looked for", async () => {
  const before = await packed([leaf(0, 200), leaf(1, 200), leaf(2, 200)]);
  const numbers = Array.from({ length: 200 }, (_, index) => (index % 80 === 20 ? 6000 + index : index));
  const texts = [0, 1, 2].map((index) => Buffer.concat(numbers.map((number) => stanzas(1, index * 1000 + number))));
  expect((await knownOf(texts, [before])).patchedBytes).toBeLessThan(9 * 6 * stanzas(1, 6000).length);
  const after = await retold(texts, [before]);
  expect(after.block.patchedBytes).toBeGreaterThan(0);
  expect(read(after).equals(Buffer.concat(texts))).toBe(true);
  const anew = await packed(texts);
  expect(after.block.bytes.length).toBeLessThan(anew.block.bytes.length * 1.05);
});

test("of what is patched bit by bit all is looked for in the end", async () => {
  let now = await packed([leaf(0)]);
  const patched: number[] = [];
  for (let turn = 0; turn < 12; turn += 1) {
    const ends = [...now.texts.join("").matchAll(/\n\n/g)].map((match) => match.index + 2);
    const whole = Buffer.concat(now.texts);
    const text = Buffer.concat([
      whole.subarray(0, ends[turn * 4]),
      stanzas(1, 8000 + turn),
      whole.subarray(ends[turn * 4 + 1]),
    ]);
    now = await retold([text], [now]);
    patched.push(now.block.patchedBytes / text.length);
  }
  expect(patched[0]).toBeGreaterThan(0);
  expect(patched[1]).toBeGreaterThan(patched[0] ?? 1);
  expect(patched).toContain(0);
  expect(Math.max(...patched)).toBeLessThan(1 / 8);
});

test("a text of one part is known from both its ends", async () => {
  const before = await packed([leaf(0)]);
  const text = Buffer.concat([stanzas(20), stanzas(1, 7000), stanzas(40, 20)]);
  expect((await knownOf([text], [before])).patchedBytes).toBeLessThan(2500);
  expect((await knownOf([text], [await packed([leaf(3)]), before], 1)).patchedBytes).toBeLessThan(2500);
});

test("what moves from one block to the next is taken over from both", async () => {
  const earlier = [await packed([leaf(0), leaf(1), leaf(2)]), await packed([leaf(3), leaf(4)])];
  const texts = [leaf(1), leaf(2), leaf(3), leaf(4)];
  const all = Buffer.concat(texts);
  const { patchedBytes } = await knownOf(texts, earlier);
  expect(patchedBytes).toBeLessThan(all.length / 8);
  const after = await retold(texts, earlier);
  expect(read(after).equals(all)).toBe(true);
  const anew = await packed(texts);
  expect(after.block.bytes.length).toBeLessThan(anew.block.bytes.length * 1.08);
});

test("through many changes a block is hardly larger than one made anew", async () => {
  let now = await packed([leaf(0), leaf(1), leaf(2), leaf(3)]);
  for (let turn = 0; turn < 40; turn += 1) {
    const texts = now.texts.map((text, index) => {
      if (index !== (turn * 7) % 4) return text;
      const ends = [...text.toString().matchAll(/\n\n/g)].map((match) => match.index + 2);
      const at = ends[(turn * 13) % (ends.length - 1)] ?? 0;
      const next = ends.find((end) => end > at) ?? text.length;
      return Buffer.concat([text.subarray(0, at), stanzas(1, 9000 + turn), text.subarray(next)]);
    });
    now = await retold(texts, [now]);
  }
  expect(read(now).equals(Buffer.concat(now.texts))).toBe(true);
  const anew = await packed(now.texts);
  expect(now.block.bytes.length).toBeLessThan(anew.block.bytes.length * 1.05);
});
