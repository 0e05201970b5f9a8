import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Instant, openConsistent } from "../../infra/local/consistent.ts";
import { type LocalDatabase, openDatabase } from "../../infra/local/database.ts";
import { fileError } from "../../infra/local/store-folder.ts";
import { commitEnds } from "../../infra/local/wal.ts";

let root: string;
const opened: LocalDatabase[] = [];
const writers: ChildProcess[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "packhouse-database-"));
});

afterEach(async () => {
  for (const db of opened.splice(0)) db.close();
  await Promise.all(writers.splice(0).map(kill));
  rmSync(root, { recursive: true, force: true });
});

function open(folder = root, options: Parameters<typeof openDatabase>[1] = {}): LocalDatabase {
  const db = openDatabase(folder, options);
  opened.push(db);
  return db;
}

const CREATE = "CREATE TABLE IF NOT EXISTS thing (n INTEGER PRIMARY KEY, filler TEXT NOT NULL)";
const INSERT = "INSERT INTO thing (n, filler) VALUES (?, ?)";

function things(db: Instant): number[] {
  return db
    .statement("SELECT n FROM thing ORDER BY n")
    .all()
    .map((row) => Number(row.n));
}

function hashOf(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

async function until(state: () => boolean, what: string, limitMs = 30_000): Promise<void> {
  for (const end = Date.now() + limitMs; !state(); ) {
    if (Date.now() > end) throw new Error(`waited ${limitMs} ms in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

type Writer = { child: ChildProcess; said(): number };

/** Another process that writes without end; `said` is the last number that it acknowledged. */
function startWriter(folder: string, walLimitBytes: number): Writer {
  const script = join(import.meta.dirname, "../support/store-writer.ts");
  const child = spawn(process.execPath, [script, folder, String(walLimitBytes)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  writers.push(child);
  let text = "";
  let said = 0;
  child.stdout.on("data", (chunk) => {
    text += chunk;
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    said = Number(lines.at(-1) ?? said);
  });
  return { child, said: () => said };
}

function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once("close", () => resolve());
    child.kill("SIGKILL");
  });
}

/** 1 to `last`, at least, without a gap; and each with its file. */
function expectAll(db: LocalDatabase, files: string, last: number): void {
  const held = things(db);
  expect(held.length).toBeGreaterThanOrEqual(last);
  expect(held).toEqual(held.map((_, index) => index + 1));
  const missing = held.filter((n) => !existsSync(join(files, String(n))));
  expect(missing).toEqual([]);
  expect(db.statement("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
}

describe("a database in use", () => {
  test("is refused to a second opener in words that name the folder", () => {
    open();
    expect(() => openDatabase(root)).toThrow(
      expect.objectContaining({ kind: "conflict", message: expect.stringContaining(root) }),
    );
  });

  test("is refused to another process, until that which holds it is killed", async () => {
    const writer = startWriter(root, 1_000_000);
    await until(() => writer.said() > 0, "the first write");
    expect(() => openDatabase(join(root, "db"))).toThrow(expect.objectContaining({ kind: "conflict" }));
    await kill(writer.child);
    expect(things(open(join(root, "db"))).length).toBeGreaterThan(0);
  });

  test("keeps statements that were handed out through a change of generation, and the old files as they were", async () => {
    const db = open(root, { walLimitBytes: 100_000 });
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
    expect(things(open())).toHaveLength(301);
  });

  test("drops an old generation once it is old enough", async () => {
    const db = open(root, { walLimitBytes: 50_000, keepOldMs: 0 });
    db.statement(CREATE).run();
    for (let n = 1; n <= 300; n += 1) db.statement(INSERT).run(n, "x".repeat(500));
    await until(() => !existsSync(join(root, "store-000001.sqlite")), "the first generation to go");
    expect(things(db)).toHaveLength(300);
  });

  test("is not folded together when it closes, for somebody may be copying it", () => {
    const db = open();
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
    const db = open();
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
    const db = open();
    expect(() => db.transaction(async () => 1)).toThrow("synchronous");
  });

  test("for which the disk has no space is undone in clear words, and the next one works", () => {
    const db = open();
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
  const db = open();
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
  test.each(Object.keys(ways))("%s, holds all that was answered before, and each row's file", async (way) => {
    const writer = startWriter(join(root, "live"), 400_000);
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
      expect(things(open(join(copy, "db"))).at(-1)).toBe(1_000_000);
      opened.pop()?.close();
    }
    const generations = readdirSync(join(root, "live", "db")).filter((name) => name.endsWith(".sqlite"));
    expect(generations.length).toBeGreaterThan(2);
  });

  test("goes back by generations too, and keeps what was cut off", async () => {
    const db = open(join(root, "db"), { walLimitBytes: 50_000 });
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
    expect(things(open(join(root, "db"))).at(-1)).toBe(41);
  });

  test("of which no instant is whole is refused in clear words, and stays as it is", () => {
    const db = open(join(root, "db"));
    db.statement(CREATE).run();
    db.statement(INSERT).run(1, "");
    db.close();
    const wal = hashOf(join(root, "db", "store-000001.sqlite-wal"));
    expect(() => openConsistent(join(root, "db"), () => false)).toThrow(/is not a whole copy/);
    expect(hashOf(join(root, "db", "store-000001.sqlite-wal"))).toBe(wal);
  });
});

test("a writer that is killed again and again loses nothing that it had acknowledged", async () => {
  let last = 0;
  for (let round = 1; round <= 8; round += 1) {
    const writer = startWriter(root, 200_000);
    const goal = last + 100 + round * 37;
    await until(() => writer.said() > goal, "writes");
    await kill(writer.child);
    last = writer.said();
    const db = openDatabase(join(root, "db"));
    expectAll(db, join(root, "files"), last);
    db.close();
  }
});

test("the ends of the committed transactions are read from the log", () => {
  const db = open();
  db.statement(CREATE).run();
  for (let n = 1; n <= 5; n += 1) db.statement(INSERT).run(n, "");
  const ends = commitEnds(join(root, "store-000001.sqlite-wal"));
  expect(ends).toHaveLength(6);
  expect(ends.at(-1)).toBe(readFileSync(join(root, "store-000001.sqlite-wal")).length);
});
