import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { TestPackhouse } from "./packhouse.ts";

/** The server runs in the tests' own process: it must be able to answer. */
const run = promisify(execFile);

/** In a line of SHA256SUMS. */
const HASH_AND_BLANKS = 66;

let upstreams = 0;

/** A new upstream of type dir; its first sync is under way. */
export async function made(packhouse: TestPackhouse, path: string, settings: object = {}): Promise<string> {
  upstreams += 1;
  const name = `files-${upstreams}`;
  const { status, body } = await packhouse.call("POST", "/upstream", { name, type: "dir", path, ...settings });
  if (status !== 201) throw new Error(`POST /upstream: ${status} ${JSON.stringify(body)}`);
  return name;
}

// biome-ignore lint/suspicious/noExplicitAny: a job as it is answered
export async function ended(packhouse: TestPackhouse, name: string): Promise<any> {
  const { body } = await packhouse.call("GET", `/upstream/${name}`);
  return (await packhouse.call("GET", `${body.job}?wait=25`)).body;
}

/** The same, of another sync. */
// biome-ignore lint/suspicious/noExplicitAny: a job as it is answered
export async function again(packhouse: TestPackhouse, name: string): Promise<any> {
  await packhouse.call("PUT", `/upstream/${name}`, {});
  return ended(packhouse, name);
}

/** The paths of what an upstream holds, sorted. */
export async function pathsOf(packhouse: TestPackhouse, name: string): Promise<string[]> {
  const { body } = await packhouse.call("GET", `/upstream/${name}/packages`);
  return Object.values<{ places: string[] }>(body)
    .flatMap(({ places }) => places)
    .sort();
}

/** What clients of a new repo that follows have: all that its SHA256SUMS names, by curl, judged by sha256sum; sorted paths. */
export async function fetchedByClients(packhouse: TestPackhouse, upstream: string): Promise<string[]> {
  const name = `of-${upstream}`;
  await packhouse.call("POST", "/repo", { name, type: "dir", follow: upstream });
  await published(packhouse, name);
  const into = mkdtempSync(join(tmpdir(), "packhouse-fetched-"));
  const curl = (path: string) => {
    const url = `${packhouse.url}/dir/${name}/${path.split("/").map(encodeURIComponent).join("/")}`;
    return run("curl", ["-fsSL", "--create-dirs", "-o", join(into, path), url]);
  };
  try {
    await curl("SHA256SUMS");
    const lines = readFileSync(join(into, "SHA256SUMS"), "utf8").trimEnd().split("\n");
    for (const line of lines) await curl(line.slice(HASH_AND_BLANKS));
    await run("sha256sum", ["-c", "--strict", "--quiet", "SHA256SUMS"], { cwd: into });
    return readdirSync(into, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name !== "SHA256SUMS")
      .map((entry) => join(entry.parentPath, entry.name).slice(into.length + 1))
      .sort();
  } finally {
    rmSync(into, { recursive: true });
  }
}

async function published(packhouse: TestPackhouse, name: string): Promise<void> {
  for (const end = Date.now() + 15_000; Date.now() < end; await new Promise((done) => setTimeout(done, 100))) {
    if ((await packhouse.call("GET", `/repo/${name}`)).body.published_commit >= 1) return;
  }
  throw new Error(`${name} was not published within 15 s`);
}
