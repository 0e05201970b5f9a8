import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openDatabase } from "../../infra/local/database.ts";

/**
 * Writes for ever: file N, then the row that names it, then says N: from then on both must never be missing. In `ROOT/db` and
 * `ROOT/files`; `node store-writer.ts ROOT WAL_LIMIT_BYTES [together]`: each in a commit of its own, or twenty in one.
 */
const [root = "", walLimit = "1000000", way = "alone"] = process.argv.slice(2);
mkdirSync(join(root, "files"), { recursive: true });
const db = openDatabase(join(root, "db"), { walLimitBytes: Number(walLimit) });
db.statement("CREATE TABLE IF NOT EXISTS thing (n INTEGER PRIMARY KEY, filler TEXT NOT NULL)").run();
const insert = db.statement("INSERT INTO thing (n, filler) VALUES (?, ?)");
let n = Number(db.statement("SELECT coalesce(max(n), 0) AS n FROM thing").get()?.n);

function write(): void {
  for (let round = 0; round < 20; round += 1) {
    n += 1;
    writeFileSync(join(root, "files", String(n)), String(n));
    const number = n;
    const work = () => void insert.run(number, "x".repeat(500));
    const say = () => void process.stdout.write(`${number}\n`);
    if (way === "together") void db.together(work).then(say);
    else {
      db.transaction(work);
      say();
    }
  }
  setTimeout(write, 1);
}
write();
