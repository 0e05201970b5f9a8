import { createHash } from "node:crypto";
import type { NamedPackage, Site } from "./clients-site.ts";

/** Uploads without waiting for what follows: when the last byte was taken, on the clock of `performance.now()`. */
export async function uploadOnly(site: Site, { name, architecture, filename, bytes }: NamedPackage): Promise<number> {
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const asked = await site.packhouse.call("POST", `/packages/${name}/test/1/${architecture}/`, {
    name: filename,
    sha256,
    size: bytes.length,
  });
  const { method, url, headers } = asked.body.upload;
  const put = await fetch(url, { method, headers, body: new Uint8Array(bytes) });
  if (put.status !== 200) throw new Error(`PUT ${filename}: ${put.status} ${await put.text()}`);
  return performance.now();
}

/** Reads again and again until `isSo`; tells how long it took. */
export async function secondsUntil(since: number, isSo: () => Promise<boolean>, limitSeconds = 10): Promise<number> {
  for (;;) {
    const so = await isSo();
    const seconds = (performance.now() - since) / 1000;
    if (so) return seconds;
    if (seconds > limitSeconds) throw new Error(`not so after ${seconds.toFixed(1)} s`);
  }
}

/** Has `uploaders` publish all of them, while `read` runs over and over; once more at the end. Tells how often it ran. */
export async function readWhilePublishing(
  site: Site,
  packages: readonly NamedPackage[],
  read: () => Promise<void>,
  uploaders = 4,
): Promise<number> {
  const left = [...packages];
  let publishing = true;
  const uploads = Promise.all(
    Array.from({ length: uploaders }, async () => {
      for (let next = left.pop(); next; next = left.pop()) await site.publish(next);
    }),
  ).finally(() => {
    publishing = false;
  });
  const reads = (async () => {
    let count = 0;
    for (; publishing; count += 1) await read();
    await read();
    return count + 1;
  })();
  const [count] = await Promise.all([reads, uploads]);
  return count;
}
