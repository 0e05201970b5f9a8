import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Instant } from "../../infra/local/consistent.ts";
import { type DatabaseOptions, type LocalDatabase, openDatabase } from "../../infra/local/database.ts";

export const CREATE = "CREATE TABLE IF NOT EXISTS thing (n INTEGER PRIMARY KEY, filler TEXT NOT NULL)";
export const INSERT = "INSERT INTO thing (n, filler) VALUES (?, ?)";

export type Writer = {
  /** The last number that it acknowledged. */
  said(): number;
  /** SIGKILL; done when the process is no more. */
  kill(): Promise<void>;
};

/** A folder in which databases are opened and written, by this process and by others. */
export type DatabaseBench = {
  root: string;
  open(folder?: string, options?: DatabaseOptions): LocalDatabase;
  /** Another process that writes without end: test/support/store-writer.ts. */
  startWriter(folder: string, walLimitBytes: number, way?: "alone" | "together"): Writer;
  close(): Promise<void>;
};

export function databaseBench(): DatabaseBench {
  const root = mkdtempSync(join(tmpdir(), "packhouse-database-"));
  const opened: LocalDatabase[] = [];
  const writers: Writer[] = [];
  return {
    root,
    open(folder = root, options = {}) {
      const db = openDatabase(folder, options);
      opened.push(db);
      return db;
    },
    startWriter(folder, walLimitBytes, way = "alone") {
      const script = join(import.meta.dirname, "store-writer.ts");
      const child = spawn(process.execPath, [script, folder, String(walLimitBytes), way], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      let text = "";
      let said = 0;
      child.stdout.on("data", (chunk) => {
        text += chunk;
        const lines = text.split("\n");
        text = lines.pop() ?? "";
        said = Number(lines.at(-1) ?? said);
      });
      const writer = { said: () => said, kill: () => killed(child) };
      writers.push(writer);
      return writer;
    },
    async close() {
      for (const db of opened) db.close();
      await Promise.all(writers.map((writer) => writer.kill()));
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once("close", () => resolve());
    child.kill("SIGKILL");
  });
}

export function things(db: Instant): number[] {
  return db
    .statement("SELECT n FROM thing ORDER BY n")
    .all()
    .map((row) => Number(row.n));
}

export function hashOf(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

export async function until(state: () => boolean, what: string, limitMs = 30_000): Promise<void> {
  for (const end = Date.now() + limitMs; !state(); ) {
    if (Date.now() > end) throw new Error(`waited ${limitMs} ms in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
