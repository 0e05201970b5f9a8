import { mkdtempSync, readdirSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, test, vi } from "vitest";
import { sha256Of } from "../../shared/blob.ts";
import { Spool, type Spooling } from "../../shared/spool.ts";
import { ENTRIES, type Placed } from "../../shared/sync/records.ts";
import { entryAt } from "../support/memory-trees.ts";

type Line = { key: string; text: string };
const LINES: Spooling<Line> = {
  encode: ({ key, text }) => ({ key, texts: [text], chunks: [] }),
  decode: ({ key, texts: [text = ""] }) => ({ key, text }),
};

async function all<T>(batches: AsyncIterable<readonly T[]>): Promise<T[]> {
  const found: T[] = [];
  for await (const batch of batches) found.push(...batch);
  return found;
}

// Other tests make and remove folders beside those that are counted here.
const folder = mkdtempSync(join(tmpdir(), "packhouse-spool-"));
vi.stubEnv("TMPDIR", folder);
afterAll(() => rmSync(folder, { recursive: true }));

function folders(): string[] {
  return readdirSync(folder);
}

test("what was added comes back in the order of its keys, however little memory there is", async () => {
  const text = fc.string({ unit: "grapheme", maxLength: 300 });
  const line = fc.record({ key: fc.string({ unit: "grapheme" }), text });
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

test.each([
  ["in memory", 1 << 20],
  ["on disk", 1],
])("an entry that was %s is the one that was added", async (_, memory) => {
  const spool = new Spool<Placed>(ENTRIES, memory);
  const placed = ["b", "a"].map((name) => {
    const entry = entryAt(`s/m/all/${name}_1`, "ü, and\nmore");
    return {
      entry: {
        ...entry,
        files: [...entry.files, { name: "ä\n", sha256: sha256Of(name), sizeBytes: 2 ** 40 }],
        chunks: { ...entry.chunks, other: Buffer.from([0, 255]) },
      },
      urls: [`http://x/${name}`, ""],
    };
  });
  for (const one of placed) await spool.add(one);
  expect(await all(spool.sorted())).toEqual(placed.toReversed());
  await spool.close();
});

function folderOf(before: readonly string[]): string[] {
  return folders()
    .filter((name) => !before.includes(name))
    .map((name) => join(tmpdir(), name));
}

test("records longer than what is read and written at a time come back, among short ones", async () => {
  const lengths = [0, 10, 300_000, 5, 2_500_000, 1_048_576, 262_144, 0, 1];
  for (const memory of [1, 4_000_000, 1 << 30]) {
    const spool = new Spool(LINES, memory);
    for (const [index, length] of lengths.entries()) {
      await spool.add({ key: `${9 - index}`, text: `${index}`.repeat(length) });
    }
    const sorted = (await all(spool.sorted())).map(({ key, text }) => [key, text.length, text.at(0), text.at(-1)]);
    await spool.close();
    expect(sorted).toEqual(
      lengths
        .map((length, index) => [
          `${9 - index}`,
          length,
          ...(length ? [`${index}`, `${index}`] : [undefined, undefined]),
        ])
        .toReversed(),
    );
  }
});

test("a run that was cut off is a fault", async () => {
  const before = folders();
  const spool = new Spool(LINES, 1);
  await spool.add({ key: "a", text: "x".repeat(1000) });
  for (const folder of folderOf(before)) truncateSync(join(folder, "run-0"), 500);
  await expect(all(spool.sorted())).rejects.toThrow("ends in the midst of a record");
  await spool.close();
});

test("nothing is left on disk, also when reading stops in the midst", async () => {
  const before = folders();
  const spool = new Spool(LINES, 1);
  for (const key of ["c", "b", "a"]) await spool.add({ key, text: "x".repeat(1000) });
  expect(folders().length).toBeGreaterThan(before.length);
  for await (const [first] of spool.sorted()) if (first?.key === "a") break;
  await spool.close();
  expect(folders()).toEqual(before);
});

test("a run that cannot be written is told, and leaves neither a folder nor a failure that nobody sees", async () => {
  const before = folders();
  const spool = new Spool(LINES, 1);
  await spool.add({ key: "a", text: "" });
  for (const folder of folderOf(before)) rmSync(folder, { recursive: true });
  await expect(spool.add({ key: "b", text: "" })).rejects.toThrow("ENOENT");
  await spool.close();
  expect(folders()).toEqual(before);
});
