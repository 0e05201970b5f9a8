import { createReadStream, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { readPackages } from "../../shared/apt/index-packages.ts";
import { rewriteBinaryStanza } from "../../shared/apt/index-rewrite.ts";
import { parseSha256, rangesOf, sha256Of } from "../../shared/blob.ts";
import type { Entry } from "../../shared/tree/entry.ts";
import { aptKey, PACKAGES, yumKey } from "../../shared/tree/layout.ts";
import { packageChunks } from "../../shared/yum/chunks.ts";
import { readRpm } from "../../shared/yum/rpm.ts";
import { listedRpms } from "../inputs/rpms.ts";

/** The first so many packages of an index; beyond its end again, under other names and hashes. */
export const Listed = z.object({ index: z.string(), count: z.number().int() });
export type Listed = z.infer<typeof Listed>;

const PLACE = { suite: "stable", component: "main" };

export async function entriesOf(type: "apt" | "yum", listed: Listed): Promise<Entry[]> {
  return type === "yum" ? yumEntries(listed) : aptEntries(listed);
}

/** `index` is the folder of the rpms; each is read as an upload is. */
async function yumEntries({ index, count }: Listed): Promise<Entry[]> {
  const entries: Entry[] = [];
  const listed = listedRpms(index);
  for (let round = 1; entries.length < count; round += 1) {
    for (const { filename, sha256: given, sizeBytes } of listed.slice(0, count - entries.length)) {
      const found = await readRpm(rangesOf(readFileSync(join(index, "packages", filename))));
      const parsed = round === 1 ? found : { ...found, name: `${found.name}-${round}` };
      const sha256 = round === 1 ? parseSha256(given) : sha256Of(`${given} ${round}`);
      const href = `pool/${sha256}/${filename}`;
      const chunks = packageChunks({ rpm: parsed, sha256, sizeBytes, href, fileTime: parsed.buildTime });
      const buffers = Object.entries(chunks).map(([kind, text]) => [kind, Buffer.from(text)]);
      entries.push({
        key: yumKey(parsed),
        files: [{ name: filename, sha256, sizeBytes }],
        chunks: Object.fromEntries(buffers),
      });
    }
  }
  return entries;
}

async function aptEntries({ index, count }: Listed): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (let round = 1; entries.length < count; round += 1) {
    const before = entries.length;
    for await (const found of readPackages(createReadStream(index), { where: index })) {
      const { stanza, name, version, architecture, files } = found;
      const [file] = files;
      if (!file) throw new Error(`${name} has no file`);
      const alias = round === 1 ? name : `${name}-${round}`;
      const given = parseSha256(file.checksums.sha256 ?? "");
      const sha256 = round === 1 ? given : sha256Of(`${given} ${round}`);
      const filename = file.path.slice(file.path.lastIndexOf("/") + 1).replace(name, alias);
      const { sizeBytes } = file;
      const text =
        round === 1 ? stanza : Buffer.from(stanza.toString("utf8").replace(/^Package:.*$/m, `Package: ${alias}`));
      entries.push({
        key: aptKey(PLACE, architecture, alias, version),
        files: [{ name: filename, sha256, sizeBytes }],
        chunks: {
          [PACKAGES]: rewriteBinaryStanza(text, { filename: `pool/${sha256}/${filename}`, sizeBytes, sha256 }),
        },
      });
      if (entries.length === count) return entries;
    }
    if (entries.length === before) throw new Error(`${index} lists no package`);
  }
  return entries;
}
