import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { buildDeb } from "./deb-builder.ts";
import { type Child, send } from "./surface-child.ts";
import { announced, aptPackages, sha256 } from "./surface-requests.ts";

export type Parcel = { readonly name: string; readonly path: string; readonly bytes: Buffer };

export function parcel(number: number): Parcel {
  const name = `p${number}`;
  // Every third is too long to lie in the local database: it is a file of its own.
  const filler = number % 3 === 0 ? incompressible(name, 200_000) : "";
  const bytes = buildDeb({ control: { Package: name, Version: "1" }, files: { "usr/share/x": `${number}${filler}` } });
  return { name, path: `/packages/${name}/debian/bookworm/amd64/${name}_1_amd64.deb`, bytes };
}

/** The same for the same seed. */
function incompressible(seed: string, sizeBytes: number): string {
  const block = (_: unknown, index: number) => createHash("sha512").update(`${seed} ${index}`).digest("base64");
  return Array.from({ length: Math.ceil(sizeBytes / 64) }, block).join("");
}

/** POST and PUT, as CI does; true when the bytes were answered for. Whether or not it throws, nothing is retried here. */
export async function deliver(
  child: Pick<Child, "url" | "token">,
  { path, bytes }: Parcel,
  more: object = {},
): Promise<boolean> {
  const at = path.lastIndexOf("/");
  const terms = { name: path.slice(at + 1), ...announced(bytes), ...more };
  const asked = await send(child, "POST", path.slice(0, at), terms);
  if (asked.status !== 200) throw new Error(`POST ${path}: ${asked.status} ${JSON.stringify(asked.body)}`);
  if (asked.body.upload === null) return true;
  const answer = await fetch(asked.body.upload.url, {
    method: "PUT",
    headers: asked.body.upload.headers,
    body: bytes,
    signal: AbortSignal.timeout(30_000),
  });
  await answer.text();
  return answer.status === 200;
}

/** Waits until a repo holds all of these and shows them; then everything that its index names must be there and right. */
export async function expectWhole(
  child: Pick<Child, "url" | "token">,
  repo: string,
  parcels: readonly Parcel[],
  limitMs = 60_000,
) {
  const wanted = new Map(parcels.map(({ name, bytes }) => [name, sha256(bytes)]));
  const end = Date.now() + limitMs;
  let missing: string[];
  do {
    const seen = new Set((await aptPackages(child, repo)).map(({ name }) => name));
    missing = [...wanted.keys()].filter((name) => !seen.has(name));
    if (missing.length > 0) await sleep(200);
  } while (missing.length > 0 && Date.now() < end);
  expect(missing).toEqual([]);

  const view = await settled(child, repo, end);
  expect(view.published_commit).toBe(view.commit);
  const found = await aptPackages(child, repo);
  expect(found).toHaveLength(view.packages);
  for (const { name, filename, sha256: told } of found) {
    expect(wanted.get(name) ?? told).toBe(told);
    const got = await fetch(`${child.url}/apt/${repo}/${filename}`);
    expect(sha256(Buffer.from(await got.arrayBuffer()))).toBe(told);
  }
  await expectReleaseFits(child, repo);
}

async function settled(child: Pick<Child, "url" | "token">, repo: string, end: number) {
  for (;;) {
    const { body } = await send(child, "GET", `/repo/${repo}`);
    if (body.commit === body.published_commit || Date.now() > end) return body;
    await sleep(200);
  }
}

/** Every index that Release names is there by its hash, and InRelease says the same as Release. */
async function expectReleaseFits({ url }: Pick<Child, "url">, repo: string): Promise<void> {
  const dist = `${url}/apt/${repo}/dists/stable`;
  const read = async (path: string) => Buffer.from(await (await fetch(`${dist}/${path}`)).arrayBuffer());
  const release = String(await read("Release"));
  expect(String(await read("InRelease")).replaceAll(/^- /gm, "")).toContain(release.trimEnd());
  const packed = [...release.matchAll(/^ ([0-9a-f]{64}) +\d+ (\S+\.gz)$/gm)];
  expect(packed.length).toBeGreaterThan(0);
  for (const [, hash = "", path = ""] of packed) {
    const folder = path.slice(0, path.lastIndexOf("/"));
    expect([path, sha256(await read(`${folder}/by-hash/SHA256/${hash}`))]).toEqual([path, hash]);
    expect([path, sha256(await read(path))]).toEqual([path, hash]);
  }
}
