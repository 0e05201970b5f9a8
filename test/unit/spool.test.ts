import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Spool, type Spooling } from "../../shared/spool.ts";
import { ENTRIES, type Placed } from "../../shared/sync/records.ts";
import { entryAt } from "../support/memory-trees.ts";

type Line = { key: string; text: string };
const LINES: Spooling<Line> = {
  keyOf: ({ key }) => key,
  weightOf: ({ key, text }) => key.length + text.length,
  encode: (line) => Buffer.from(JSON.stringify(line)),
  decode: (bytes) => JSON.parse(bytes.toString("utf8")),
};

async function all<T>(records: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const record of records) found.push(record);
  return found;
}

function folders(): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith("packhouse-"));
}

test("what was added comes back in the order of its keys, however little memory there is", async () => {
  const line = fc.record({ key: fc.string({ unit: "grapheme-ascii" }), text: fc.string({ maxLength: 300 }) });
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 300 }), fc.integer({ min: 1, max: 5000 }), async (lines, memory) => {
      const spool = new Spool(LINES, memory);
      try {
        for (const one of lines) await spool.add(one);
        expect(spool.count).toBe(lines.length);
        const told = (list: readonly Line[]) => list.map((one) => JSON.stringify(one)).sort();
        const sorted = await all(spool.sorted());
        expect(told(sorted)).toEqual(told(lines));
        expect(sorted.map(({ key }) => key)).toEqual(lines.map(({ key }) => key).sort((a, b) => (a < b ? -1 : 1)));
        expect(await all(spool.sorted())).toEqual(sorted);
      } finally {
        await spool.close();
      }
    }),
    { numRuns: 60 },
  );
});

test("an entry that was on disk is the one that was added", async () => {
  const spool = new Spool<Placed>(ENTRIES, 1);
  const placed = ["b", "a"].map((name) => {
    const entry = entryAt(`s/m/all/${name}_1`, "ü, and\nmore");
    return {
      entry: { ...entry, chunks: { ...entry.chunks, other: Buffer.from([0, 255]) } },
      urls: [`http://x/${name}`],
    };
  });
  for (const one of placed) await spool.add(one);
  expect(await all(spool.sorted())).toEqual(placed.toReversed());
  await spool.close();
});

test("nothing is left on disk, also when reading stops in the midst", async () => {
  const before = folders();
  const spool = new Spool(LINES, 1);
  for (const key of ["c", "b", "a"]) await spool.add({ key, text: "x".repeat(1000) });
  expect(folders().length).toBeGreaterThan(before.length);
  for await (const { key } of spool.sorted()) if (key === "a") break;
  await spool.close();
  expect(folders()).toEqual(before);
});

test("a run that cannot be written is told, and leaves neither a folder nor a failure that nobody sees", async () => {
  const before = folders();
  const spool = new Spool(
    {
      ...LINES,
      encode: ({ key }) => {
        if (key === "b") throw new Error("no room");
        return Buffer.alloc(3 << 20);
      },
    },
    2,
  );
  await spool.add({ key: "a", text: "" });
  await expect(spool.add({ key: "b", text: "" })).rejects.toThrow("no room");
  await spool.close();
  expect(folders()).toEqual(before);
});
