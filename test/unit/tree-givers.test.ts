import fc from "fast-check";
import { expect, test } from "vitest";
import type { Sha256 } from "../../shared/blob.ts";
import { type Delta, editTree } from "../../shared/tree/edit.ts";
import { giftsBelow, giftsOf, readyGivers } from "../../shared/tree/givers.ts";
import { EMPTY_ROOT, readTree } from "../../shared/tree/root.ts";
import { type MemoryBlobs, memoryBlobs } from "../support/memory-blobs.ts";
import { byAptIndex, EMPTY, entriesIn, entryAt } from "../support/memory-trees.ts";

type State = { readonly root: Sha256; readonly givers: Sha256 };
const NOTHING: State = { root: EMPTY_ROOT, givers: EMPTY_ROOT };

/** What a commit does of a delta. */
async function applied(store: MemoryBlobs, { root, givers }: State, delta: Delta): Promise<State> {
  const ready = await readyGivers(store, givers, delta);
  const { tree, ...edit } = await editTree(store, await readTree(store, root), ready.delta, byAptIndex);
  return { root: tree.root, givers: (await ready.after(edit)).root };
}

const keyOf = (number: number) => `stable/main/amd64/p${number}_1`;
const pathOf = (number: number) => `a/debian/bookworm/amd64/p${number}.deb`;
const gives = (giver: string | undefined, key: string, holds = "bytes", replace = false): Delta => ({
  put: [{ entry: entryAt(key, holds), replace, ...(giver === undefined ? {} : { giver }) }],
  remove: [],
});
const leaves = (giver: string, ...keys: string[]): Delta => ({
  put: [],
  remove: [],
  leave: keys.map((key) => ({ giver, key })),
});

async function keysAfter(store: MemoryBlobs, deltas: readonly Delta[]): Promise<{ keys: string[]; state: State }> {
  let state = NOTHING;
  for (const delta of deltas) state = await applied(store, state, delta);
  const entries = await entriesIn(store, await readTree(store, state.root));
  return { keys: entries.map(({ key }) => key), state };
}

const [P, Q] = [pathOf(1), pathOf(2)];
const K = keyOf(1);

test.each<[string, readonly Delta[], readonly string[]]>([
  ["a row goes with the only binary that gave it", [gives(P, K), leaves(P, K)], []],
  ["a row stays while another binary gives it", [gives(P, K), gives(Q, K), leaves(P, K)], [K]],
  ["a row goes with the last of its binaries", [gives(P, K), gives(Q, K), leaves(P, K), leaves(Q, K)], []],
  ["a row that was put by hand first stays", [gives(undefined, K), gives(P, K), leaves(P, K)], [K]],
  ["a row that is added by hand later stays", [gives(P, K), { put: [], remove: [], own: [K] }, leaves(P, K)], [K]],
  ["what was refused is not given", [gives(P, K), gives(Q, K, "other"), leaves(Q, K)], [K]],
  ["other bytes by force belong to who gave them", [gives(P, K), gives(Q, K, "other", true), leaves(P, K)], [K]],
  [
    "other bytes that were put by hand stay",
    [gives(P, K), gives(undefined, K, "other", true), leaves(P, K), leaves(Q, K)],
    [K],
  ],
  [
    "a row removed by hand and put again is nobody's",
    [gives(P, K), { put: [], remove: [K] }, gives(undefined, K), leaves(P, K)],
    [K],
  ],
  [
    "one binary leaves a row as another gives it",
    [gives(P, K), { ...gives(Q, K), leave: [{ giver: P, key: K }] }, leaves(P, K)],
    [K],
  ],
  [
    "other bytes may come where a row is left",
    [gives(P, K), { ...gives(Q, K, "other"), leave: [{ giver: P, key: K }] }, leaves(P, K)],
    [K],
  ],
])("%s", async (_, deltas, keys) => {
  const store = memoryBlobs();
  expect((await keysAfter(store, deltas)).keys).toEqual(keys);
});

test("what binaries gave is found by their path, and by every level above, and by no other", async () => {
  const store = memoryBlobs();
  const paths = ["a/d/r/x/one", "a/d/r/x/one.more", "a/d/r/xx/one", "b/d/r/x/one"];
  const deltas = paths.map((path, index) => gives(path, keyOf(index)));
  const { givers } = (await keysAfter(store, deltas)).state;
  const below = async (path: string) => (await giftsBelow(store, givers, path)).map(({ giver }) => giver);
  expect(await below("a/d/r/x/one")).toEqual(["a/d/r/x/one"]);
  expect((await below("a/d/r/x")).sort()).toEqual(["a/d/r/x/one", "a/d/r/x/one.more"]);
  expect((await below("a")).length).toBe(3);
  expect(await giftsOf(store, givers, ["a/d/r/x/one.more", "b/d/r/x"])).toEqual([
    { giver: "a/d/r/x/one.more", key: keyOf(1), sha256: entryAt(keyOf(1)).files[0]?.sha256 },
  ]);
});

test("where no binary gives anything, nothing is read or written", async () => {
  const store = memoryBlobs();
  const ready = await readyGivers(store, undefined, {
    put: [{ entry: entryAt(K), replace: false }],
    remove: [keyOf(2)],
  });
  expect((await ready.after({ refused: [], removed: [], added: [entryAt(K)] })).root).toBe(EMPTY_ROOT);
  expect(store.held.size).toBe(0);
});

test("when all binaries have left, only what was put by hand is there, and nothing is said of givers", async () => {
  const number = fc.nat(30);
  const step = fc.oneof(
    fc.tuple(fc.constant("give"), number, number),
    fc.tuple(fc.constant("leave"), number, number),
    fc.tuple(fc.constant("hand"), number, number),
    fc.tuple(fc.constant("remove"), number, number),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(step, { minLength: 1, maxLength: 6 }), { maxLength: 25 }), async (batches) => {
      const store = memoryBlobs();
      let state = NOTHING;
      const rows = new Map<string, Set<string>>();
      for (const batch of batches) {
        const delta = {
          put: [] as { entry: ReturnType<typeof entryAt>; replace: boolean; giver?: string }[],
          remove: [] as string[],
          leave: [] as { giver: string; key: string }[],
          own: [] as string[],
        };
        // One kind of step a delta: what they come to together is a matter of their own.
        const [kind] = batch[0] ?? [];
        for (const [, row, by] of batch) {
          const [key, giver] = [keyOf(row), pathOf(by)];
          const givers = rows.get(key);
          if (kind === "give") {
            delta.put.push({ entry: entryAt(key), replace: false, giver });
            if (!givers) rows.set(key, new Set([giver]));
            else if (givers.size > 0) givers.add(giver);
          } else if (kind === "leave") {
            delta.leave.push({ giver, key });
            if (givers?.delete(giver) && givers.size === 0) rows.delete(key);
          } else if (kind === "hand") {
            delta.put.push({ entry: entryAt(key), replace: false });
            rows.set(key, new Set());
          } else {
            delta.remove.push(key);
            rows.delete(key);
          }
        }
        state = await applied(store, state, delta);
        const held = (await entriesIn(store, await readTree(store, state.root))).map(({ key }) => key);
        expect(held).toEqual([...rows.keys()].sort());
      }
      const all = await giftsBelow(store, state.givers, "a");
      expect(all.length).toBe([...rows.values()].reduce((sum, givers) => sum + givers.size, 0));
      state = await applied(store, state, { put: [], remove: [], leave: all });
      expect(state.givers).toBe(EMPTY_ROOT);
      const held = (await entriesIn(store, await readTree(store, state.root))).map(({ key }) => key);
      expect(held).toEqual([...rows].flatMap(([key, givers]) => (givers.size === 0 ? [key] : [])).sort());
    }),
    { numRuns: 80 },
  );
});

test("the givers of a tree depend on who gives what, not on the order it came in", async () => {
  const store = memoryBlobs();
  const deltas = Array.from({ length: 200 }, (_, number) => gives(pathOf(number % 20), keyOf(number)));
  const forth = (await keysAfter(store, deltas)).state;
  const back = (await keysAfter(store, [...deltas].reverse())).state;
  const passing = [gives(pathOf(99), keyOf(500)), ...deltas, leaves(pathOf(99), keyOf(500))];
  expect([back, (await keysAfter(store, passing)).state]).toEqual([forth, forth]);
  expect(EMPTY.root).toBe(EMPTY_ROOT);
});
