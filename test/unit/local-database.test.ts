import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openDatabase } from "../../infra/local/database.ts";
import { fileError } from "../../infra/local/store-folder.ts";
import { CREATE, type DatabaseBench, databaseBench, hashOf, INSERT, things, until } from "../support/database-bench.ts";

let bench: DatabaseBench;
let root: string;
beforeEach(() => {
  bench = databaseBench();
  root = bench.root;
});
afterEach(() => bench.close());

describe("a database in use", () => {
  test("is refused to a second opener in words that name the folder", () => {
    bench.open();
    expect(() => openDatabase(root)).toThrow(
      expect.objectContaining({ kind: "conflict", message: expect.stringContaining(root) }),
    );
  });

  test("is refused to another process, until that which holds it is killed", async () => {
    const writer = bench.startWriter(root, 1_000_000);
    await until(() => writer.said() > 0, "the first write");
    expect(() => openDatabase(join(root, "db"))).toThrow(expect.objectContaining({ kind: "conflict" }));
    await writer.kill();
    expect(things(bench.open(join(root, "db"))).length).toBeGreaterThan(0);
  });

  test("keeps statements that were handed out through a change of generation, and the old files as they were", async () => {
    const db = bench.open(root, { walLimitBytes: 100_000 });
    db.statement(CREATE).run();
    const insert = db.statement(INSERT);
    for (let n = 1; n <= 300; n += 1) insert.run(n, "x".repeat(500));
    const [first] = readdirSync(root).filter((name) => name.endsWith("1.sqlite"));
    const before = hashOf(join(root, String(first)));
    await until(() => existsSync(join(root, "store-000002.sqlite")), "a new generation");
    insert.run(301, "after");
    expect(things(db)).toHaveLength(301);
    expect(hashOf(join(root, String(first)))).toBe(before);
    db.close();
    expect(things(bench.open())).toHaveLength(301);
  });

  test("drops an old generation once it is old enough", async () => {
    const db = bench.open(root, { walLimitBytes: 50_000, keepOldMs: 0 });
    db.statement(CREATE).run();
    for (let n = 1; n <= 300; n += 1) db.statement(INSERT).run(n, "x".repeat(500));
    await until(() => !existsSync(join(root, "store-000001.sqlite")), "the first generation to go");
    expect(things(db)).toHaveLength(300);
  });

  test("is not folded together when it closes, for somebody may be copying it", () => {
    const db = bench.open();
    db.statement(CREATE).run();
    db.statement(INSERT).run(1, "one");
    const main = join(root, "store-000001.sqlite");
    const before = [hashOf(main), hashOf(`${main}-wal`)];
    db.close();
    expect([hashOf(main), hashOf(`${main}-wal`)]).toEqual(before);
  });
});

describe("a transaction", () => {
  test("that throws leaves nothing; an inner one that throws leaves the outer", () => {
    const db = bench.open();
    db.statement(CREATE).run();
    const insert = db.statement(INSERT);
    const fail = (n: number) => () =>
      db.transaction(() => {
        insert.run(n, "");
        throw new Error("no");
      });
    expect(fail(1)).toThrow("no");
    db.transaction(() => {
      insert.run(2, "");
      expect(fail(3)).toThrow("no");
      insert.run(4, "");
    });
    expect(things(db)).toEqual([2, 4]);
  });

  test("may not be asynchronous", () => {
    const db = bench.open();
    expect(() => db.transaction(async () => 1)).toThrow("synchronous");
  });

  test("for which the disk has no space is undone in clear words, and the next one works", () => {
    const db = bench.open();
    db.statement(CREATE).run();
    const insert = db.statement(INSERT);
    const pages = Number(db.statement("PRAGMA page_count").get()?.page_count);
    db.statement(`PRAGMA max_page_count = ${pages + 10}`).get();
    const flood = () =>
      db.transaction(() => {
        for (let n = 1; n <= 1_000; n += 1) insert.run(n, "x".repeat(500));
      });
    expect(flood).toThrow(`cannot write to ${root}: no space left on device`);
    expect(things(db)).toEqual([]);
    db.statement("PRAGMA max_page_count = 1000000").get();
    flood();
    expect(things(db)).toHaveLength(1_000);
  });
});

test("work that goes on after its transaction was ended by a full disk leaves nothing", () => {
  const db = bench.open();
  db.statement(CREATE).run();
  const pages = Number(db.statement("PRAGMA page_count").get()?.page_count);
  db.statement(`PRAGMA max_page_count = ${pages + 10}`).get();
  const stubborn = () =>
    db.transaction(() => {
      for (let n = 1; n <= 25; n += 1) {
        try {
          db.statement(INSERT).run(n, "x".repeat(n % 5 === 0 ? 100 : 10_000));
        } catch {
          // as a library may that starts all and waits for the first error
        }
      }
    });
  expect(stubborn).toThrow();
  expect(things(db)).toEqual([]);
});

describe("a folder that cannot be used", () => {
  test("is named with the reason", () => {
    writeFileSync(join(root, "file"), "");
    const unavailable = (text: string) => expect.objectContaining({ kind: "unavailable", message: text });
    const under = join(root, "file", "db");
    expect(() => openDatabase(under)).toThrow(
      unavailable(`cannot write to ${under}: a part of the path is not a folder`),
    );
    const full = Object.assign(new Error("write"), { code: "ENOSPC" });
    expect(fileError("/x", full)).toEqual(unavailable("cannot write to /x: no space left on device"));
  });

  test("with a damaged database is named too", () => {
    mkdirSync(join(root, "db"));
    writeFileSync(join(root, "db", "store-000001.sqlite"), "no database at all ".repeat(300));
    expect(() => openDatabase(join(root, "db"))).toThrow(/the database in .*db is damaged/);
  });
});
