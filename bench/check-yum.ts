import { gunzipSync } from "node:zlib";
import { sha256Of } from "../shared/blob.ts";
import type { BenchPackhouse } from "./server/packhouse.ts";

/** Throws unless the metadata that dnf would be led to lists exactly the packages of these hashes, in each of its three files. */
export async function expectRpms(packhouse: BenchPackhouse, name: string, expected: readonly string[]): Promise<void> {
  const [root = ""] = (await packhouse.ask("GET", `/yum/${name}/mirrorlist`)).text.trim().split("\n");
  const repomd = (await packhouse.ask("GET", `${root}repodata/repomd.xml`)).text;
  for (const kind of ["primary", "filelists", "other"]) {
    const record = new RegExp(`<data type="${kind}">(.*?)</data>`, "s").exec(repomd)?.[1] ?? "";
    const href = /<location href="([^"]+)"/.exec(record)?.[1] ?? "";
    const sum = /<checksum type="sha256">([0-9a-f]{64})</.exec(record)?.[1];
    const open = /<open-checksum type="sha256">([0-9a-f]{64})</.exec(record)?.[1];
    const response = await fetch(`${root}${href}`);
    const bytes = Buffer.from(await response.arrayBuffer());
    const plain = gunzipSync(bytes);
    if (sha256Of(bytes) !== sum || sha256Of(plain) !== open)
      throw new Error(`wrong result: ${href} is not what repomd.xml says`);
    const found = [...plain.toString("utf8").matchAll(/pkgid="(?:YES">)?([0-9a-f]{64})/g)].map(
      ([, sha256 = ""]) => sha256,
    );
    const others = new Set(found);
    const missing = expected.filter((sha256) => !others.delete(sha256));
    if (missing.length > 0 || others.size > 0 || found.length !== expected.length) {
      throw new Error(
        `wrong result: ${kind} lists ${found.length} packages, ${expected.length} expected, ${missing.length} are missing`,
      );
    }
  }
}
