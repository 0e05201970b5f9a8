import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Instant, openConsistent } from "../../infra/local/consistent.ts";
import { type LocalDatabase, openDatabase } from "../../infra/local/database.ts";
import { commitEnds } from "../../infra/local/wal.ts";
import { CREATE, type DatabaseBench, databaseBench, hashOf, INSERT, things, until } from "../support/database-bench.ts";

let bench: DatabaseBench;
let root: string;
beforeEach(() => {
  bench = databaseBench();
  root = bench.root;
});
afterEach(() => bench.close());

/** 1 to `last`, at least, without a gap; and each with its file. */
function expectAll(db: LocalDatabase, files: string, last: number): void {
  const held = things(db);
  expect(held.length).toBeGreaterThanOrEqual(last);
  expect(held).toEqual(held.map((_, index) => index + 1));
  const missing = held.filter((n) => !existsSync(join(files, String(n))));
  expect(missing).toEqual([]);
  expect(db.statement("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
}

describe("a copy made while a writer goes on", () => {
  const wholeIn = (files: string) => (instant: Instant) =>
    things(instant).every((n) => existsSync(join(files, String(n))));

  const ways: Record<string, (from: string, to: string) => void> = {
    "by cp, the files first": (from, to) => {
      mkdirSync(to);
      execFileSync("cp", ["-r", join(from, "files"), to]);
      execFileSync("cp", ["-r", join(from, "db"), to]);
    },
    "by cp, the database first": (from, to) => {
      mkdirSync(to);
      execFileSync("cp", ["-r", join(from, "db"), to]);
      execFileSync("cp", ["-r", join(from, "files"), to]);
    },
    "by tar": (from, to) => {
      mkdirSync(to);
      // Exit 1: a file changed while it was read.
      execFileSync("sh", ["-c", 'tar -C "$0" -cf - . 2>/dev/null | tar -C "$1" -xf -', from, to]);
    },
  };

  // A limit that is reached every few hundred writes: some copies are made while a generation changes.
  test.each(Object.keys(ways))(
    "%s, holds all that was answered before, and each row's file",
    async (way) => {
      const writer = bench.startWriter(join(root, "live"), 400_000, way.startsWith("by cp") ? "together" : "alone");
      for (let round = 1; round <= 6; round += 1) {
        const seen = writer.said();
        await until(() => writer.said() > seen + 150, "more writes");
        const before = writer.said();
        const copy = join(root, `copy-${round}`);
        ways[way]?.(join(root, "live"), copy);
        const db = openConsistent(join(copy, "db"), wholeIn(join(copy, "files")));
        expectAll(db, join(copy, "files"), before);
        db.statement(INSERT).run(1_000_000, "goes on");
        db.close();
        expect(things(bench.open(join(copy, "db"))).at(-1)).toBe(1_000_000);
      }
      const generations = () => readdirSync(join(root, "live", "db")).filter((name) => name.startsWith("store-"));
      await until(() => generations().some((name) => name.startsWith("store-000002.")), "a change of generation");
      // Six copies of what grows meanwhile: a busy disk takes its time.
    },
    240_000,
  );

  test("goes back by generations too, and keeps what was cut off", async () => {
    const db = bench.open(join(root, "db"), { walLimitBytes: 50_000 });
    db.statement(CREATE).run();
    for (let n = 1; n <= 100; n += 1) db.statement(INSERT).run(n, "x".repeat(500));
    await until(() => existsSync(join(root, "db", "store-000002.sqlite")), "a new generation");
    db.statement(INSERT).run(101, "");
    db.close();
    const said: string[] = [];
    const atMost = (limit: number) => (instant: Instant) => things(instant).every((n) => n <= limit);
    const earlier = openConsistent(join(root, "db"), atMost(40), { onRollback: (text) => said.push(text) });
    expect(things(earlier)).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
    earlier.statement(INSERT).run(41, "anew");
    earlier.close();
    expect(said).toEqual([expect.stringContaining("newest whole instant")]);
    expect(readdirSync(join(root, "db")).some((name) => name.startsWith("set-aside-"))).toBe(true);
    expect(things(bench.open(join(root, "db"))).at(-1)).toBe(41);
  });

  test("of which no instant is whole is refused in clear words, and stays as it is", () => {
    const db = bench.open(join(root, "db"));
    db.statement(CREATE).run();
    db.statement(INSERT).run(1, "");
    db.close();
    const wal = hashOf(join(root, "db", "store-000001.sqlite-wal"));
    expect(() => openConsistent(join(root, "db"), () => false)).toThrow(/is not a whole copy/);
    expect(hashOf(join(root, "db", "store-000001.sqlite-wal"))).toBe(wal);
  });
});

const WAYS = ["alone", "together"] as const;
test.each(WAYS)(
  "a writer (each %s) that is killed again and again loses nothing that it had acknowledged",
  async (way) => {
    let last = 0;
    for (let round = 1; round <= 8; round += 1) {
      const writer = bench.startWriter(root, 200_000, way);
      const goal = last + 100 + round * 37;
      await until(() => writer.said() > goal, "writes");
      await writer.kill();
      last = writer.said();
      const db = openDatabase(join(root, "db"));
      expectAll(db, join(root, "files"), last);
      db.close();
    }
  },
);

test("the ends of the committed transactions are read from the log", () => {
  const db = bench.open();
  db.statement(CREATE).run();
  for (let n = 1; n <= 5; n += 1) db.statement(INSERT).run(n, "");
  const ends = commitEnds(join(root, "store-000001.sqlite-wal"));
  expect(ends).toHaveLength(6);
  expect(ends.at(-1)).toBe(readFileSync(join(root, "store-000001.sqlite-wal")).length);
});
