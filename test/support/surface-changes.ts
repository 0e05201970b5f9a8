import type { TestPackhouse } from "./packhouse.ts";
import type { NamedBytes } from "./sources.ts";
import { announced, ask, put } from "./surface-requests.ts";

export const LEVEL = "hello/debian/bookworm/amd64";

/** Announces a file and sends it, without waiting for what follows; answers the address of its job. */
export async function send(
  packhouse: TestPackhouse,
  { name, bytes }: NamedBytes,
  { level = LEVEL, ...terms }: { level?: string; changes?: string; force?: boolean } = {},
): Promise<string> {
  const { status, body } = await ask(packhouse, `${level}/${name}`, { ...announced(bytes), ...terms });
  if (status !== 200) throw new Error(`POST ${name}: ${status} ${JSON.stringify(body)}`);
  if (body.upload) {
    const sent = await put(body.upload, bytes);
    if (sent.status !== 200) throw new Error(`PUT ${name}: ${sent.status} ${sent.text}`);
  }
  return body.job;
}

const LIMIT_MS = 20_000;

/** Reads a job until it is in one of these states. */
export async function jobIn(packhouse: TestPackhouse, job: string, ...states: readonly string[]) {
  const end = Date.now() + LIMIT_MS;
  for (;;) {
    const { body } = await packhouse.call("GET", job);
    if (states.includes(body.state)) return body;
    if (Date.now() > end) throw new Error(`${JSON.stringify(body)} is not ${states.join(" or ")}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** What a repo holds: `name version architecture` of each package (in a directory the paths), sorted; and at which commit. */
export async function heldBy(packhouse: TestPackhouse, repo: string): Promise<{ commit: number; held: string[] }> {
  const [{ body: about }, { body: packages }] = await Promise.all([
    packhouse.call("GET", `/repo/${repo}`),
    packhouse.call("GET", `/repo/${repo}/packages`),
  ]);
  const held = Object.values<{ filename: string }>(packages).map(({ filename }) => filename);
  return { commit: about.commit, held: held.sort() };
}
