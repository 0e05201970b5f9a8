import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { LocalDatabase } from "../../infra/local/database.ts";
import { commitEnds } from "../../infra/local/wal.ts";
import { CREATE, type DatabaseBench, databaseBench, INSERT, things, until } from "../support/database-bench.ts";

let bench: DatabaseBench;
let db: LocalDatabase;
beforeEach(() => {
  bench = databaseBench();
  db = bench.open();
  db.statement(CREATE).run();
});
afterEach(() => bench.close());

const insert = (n: number, filler = "") => db.together(() => void db.statement(INSERT).run(n, filler));
const wal = () => join(bench.root, "store-000001.sqlite-wal");
const outcomes = async (works: Promise<unknown>[]) =>
  (await Promise.allSettled(works)).map((one) => (one.status === "fulfilled" ? "done" : String(one.reason.message)));

describe("works that ask in one turn", () => {
  test("share one commit, in the order of asking, and are answered behind it", async () => {
    const before = commitEnds(wal()).length;
    const order: string[] = [];
    const works = [1, 2, 3].map((n) =>
      db
        .together(() => {
          order.push(`runs ${n}`);
          db.statement(INSERT).run(n, "");
          return n * 10;
        })
        .then((value) => {
          order.push(`answers ${value}`);
          expect(things(db)).toEqual([1, 2, 3]);
          expect(commitEnds(wal())).toHaveLength(before + 1);
        }),
    );
    expect(order).toEqual([]);
    await Promise.all(works);
    expect(order).toEqual(["runs 1", "runs 2", "runs 3", "answers 10", "answers 20", "answers 30"]);
  });

  test("fail alone, and what a failed one wrote is gone, in its inner transactions too", async () => {
    const failing = db.together(() => {
      db.transaction(() => db.statement(INSERT).run(2, ""));
      throw new Error("not this one");
    });
    expect(await outcomes([insert(1), failing, insert(1), insert(3)])).toEqual([
      "done",
      "not this one",
      expect.stringContaining("UNIQUE"),
      "done",
    ]);
    expect(things(db)).toEqual([1, 3]);
  });

  test("all fail when their commit does, and the next ones work", async () => {
    db.statement("CREATE TABLE tied (n INTEGER REFERENCES thing (n) DEFERRABLE INITIALLY DEFERRED)").run();
    const dangling = db.together(() => void db.statement("INSERT INTO tied VALUES (99)").run());
    const failed = expect.stringContaining("FOREIGN KEY");
    expect(await outcomes([insert(1), dangling, insert(2)])).toEqual([failed, failed, failed]);
    expect(things(db)).toEqual([]);
    expect(await outcomes([insert(1), insert(2)])).toEqual(["done", "done"]);
  });

  test("all fail when a full disk ends their transaction, those behind it too, and nothing of them stays", async () => {
    const pages = Number(db.statement("PRAGMA page_count").get()?.page_count);
    db.statement(`PRAGMA max_page_count = ${pages + 10}`).get();
    const full = expect.stringContaining("no space left on device");
    const works = [insert(1), insert(2, "x".repeat(200_000)), insert(3)];
    expect(await outcomes(works)).toEqual([full, full, full]);
    expect(things(db)).toEqual([]);
    expect(await outcomes([insert(4)])).toEqual(["done"]);
  });

  test("may not be asynchronous", async () => {
    expect(await outcomes([db.together(async () => 1)])).toEqual([expect.stringContaining("synchronous")]);
  });
});

test("works that wait when the database closes are done first; later ones are refused", async () => {
  const waiting = [insert(1), insert(2)];
  db.close();
  expect(await outcomes([...waiting, insert(3)])).toEqual(["done", "done", expect.stringContaining("is closed")]);
  expect(things(bench.open())).toEqual([1, 2]);
});

test("works go on through a change of generation", async () => {
  db.close();
  db = bench.open(bench.root, { walLimitBytes: 50_000 });
  let n = 0;
  const changed = () => existsSync(join(bench.root, "store-000002.sqlite"));
  const writer = async () => {
    while (!changed()) await insert(++n, "x".repeat(500));
  };
  await Promise.all(Array.from({ length: 5 }, writer));
  await until(changed, "a new generation");
  await insert(++n);
  expect(things(db)).toHaveLength(n);
  expect(statSync(join(bench.root, "store-000001.sqlite")).size).toBeLessThan(50_000);
});
