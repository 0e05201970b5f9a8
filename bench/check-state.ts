import { isDeepStrictEqual } from "node:util";
import pMap from "p-map";
import { z } from "zod";
import { sha256Of } from "../shared/blob.ts";
import { readPublished } from "./check.ts";
import type { BenchPackhouse } from "./server/packhouse.ts";

const State = z.object({ heads: z.record(z.string(), z.unknown()), paths: z.array(z.string()) });

/** What an apt repo and its upstream came to: trees, and the hash of each published file without its dates and signatures. */
export type EndState = { readonly heads: Record<string, unknown>; readonly files: ReadonlyMap<string, string> };

const PARALLEL = 16;

export async function endStateOf(packhouse: BenchPackhouse, upstream: string, repo: string): Promise<EndState> {
  const { heads, paths } = await packhouse.act(State, "state", { upstream, repo });
  const files = new Map<string, string>();
  for (const path of paths) files.set(path, sha256Of(undated(await bytesAt(`${packhouse.url}/apt/${repo}/${path}`))));
  return { heads, files };
}

/** Throws where a state differs from another, and says in what. */
export function expectSame(found: EndState, expected: EndState): void {
  if (!isDeepStrictEqual(found.heads, expected.heads)) {
    refuse(`the heads are ${JSON.stringify(found.heads)}, without kills ${JSON.stringify(expected.heads)}`);
  }
  const paths = new Set([...found.files.keys(), ...expected.files.keys()]);
  const other = [...paths].filter((path) => found.files.get(path) !== expected.files.get(path));
  if (other.length > 0) refuse(`not as without kills: ${other.join(", ")}`);
}

/** Throws unless each file that the index names can be had from us, and is what the index says. */
export async function expectFiles(packhouse: BenchPackhouse, name: string, suite: string): Promise<void> {
  await pMap(
    await readPublished(packhouse, name, suite),
    async (stanza) => {
      const [, path = ""] = /^Filename: (.*)$/m.exec(stanza) ?? [];
      const [, sha256] = /^SHA256: (.*)$/m.exec(stanza) ?? [];
      const response = await fetch(`${packhouse.url}/apt/${name}/${encodeURI(path)}`, { redirect: "error" });
      const bytes = Buffer.from(await response.arrayBuffer());
      if (response.status !== 200 || sha256Of(bytes) !== sha256) refuse(`${path}: ${response.status}, or other bytes`);
    },
    { concurrency: PARALLEL },
  );
}

function undated(bytes: Buffer): Buffer {
  const text = bytes.toString("latin1");
  return Buffer.from(
    text.replace(/^Date: .*$/gm, "").replace(/-----BEGIN PGP SIGNATURE-----.*?-----END PGP SIGNATURE-----/gs, ""),
    "latin1",
  );
}

async function bytesAt(url: string): Promise<Buffer> {
  const response = await fetch(url);
  if (response.status !== 200) refuse(`${url}: ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}

function refuse(what: string): never {
  throw new Error(`wrong result: ${what}`);
}
