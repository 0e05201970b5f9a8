import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { sha256Of } from "../../shared/blob.ts";
import { BENCH, INPUTS, keptFolder } from "../inputs/folder.ts";
import { type BenchPackhouse, startBench } from "../server/packhouse.ts";
import { upload } from "../steps.ts";

const SERVER = join(BENCH, "server");
/** What says how an upload's items look: where that changes, they are made anew. */
const FORM = [
  ...["binary/node.ts", "binary/search-hints.ts", "package.ts", "job/upload-job.ts", "store/keys.ts"].map((file) =>
    join(BENCH, "../shared", file),
  ),
  ...["binaries.ts", "fill.ts", "rows.ts"].map((file) => join(SERVER, file)),
];

/** fsync does nothing there; where the library is missing, the loader says so and all goes on, slowly. */
const CARELESS = { LD_PRELOAD: "libeatmydata.so" };

export const PACKAGES = 1_000;

/** What one binary of the filled ones is called, and what it holds. */
export function filledAt(name: string, nth: number) {
  const filename = `${name}_${nth}_amd64.bin`;
  const folder = `${name}/debian/bookworm/amd64`;
  return { folder, filename, bytes: Buffer.from(`${folder}/${filename}`) };
}

/** A data folder with an empty repo `bench`, and a discovery tree as so many uploads leave it. Made once for each form of the items. */
export async function filledTable(binaries: number): Promise<string> {
  const form = sha256Of(Buffer.concat(FORM.map((file) => readFileSync(file)))).slice(0, 8);
  const kept = await keptFolder(`table-${binaries}-${form}`, async (folder) => {
    // Of other forms none is of use any more, and each takes a third of a gigabyte.
    for (const name of readdirSync(INPUTS)) {
      const isOld = name.startsWith(`table-${binaries}-`) && join(INPUTS, name) !== folder;
      if (isOld) rmSync(join(INPUTS, name), { recursive: true, force: true });
    }
    const dataFolder = join(folder, "data");
    const packhouse = await startBench({ dataFolder });
    await packhouse.call(z.unknown(), "POST", "/repo", { name: "bench", type: "apt" });
    await packhouse.kill();
    const given = JSON.stringify({ dataFolder, packages: PACKAGES, binariesEach: binaries / PACKAGES });
    execFileSync(process.execPath, [...process.execArgv, join(SERVER, "fill.ts"), given], {
      env: { ...process.env, ...CARELESS },
      stdio: "inherit",
    });
  });
  return join(kept, "data");
}

/** Throws unless what is told of a filled binary is what is told of one that was really uploaded, but for names, hashes and times. */
export async function expectAsUploaded(packhouse: BenchPackhouse): Promise<void> {
  // The names are of one length, for sizes to be the same.
  const [filled, uploaded] = [filledAt("package-00009", 0), filledAt("uploads-00009", 0)];
  await upload(packhouse, uploaded.folder, uploaded.filename, uploaded.bytes);
  const tell = async ({ folder, filename, bytes }: typeof filled) => {
    const sha256 = sha256Of(bytes);
    const binary = `/packages/${folder}/${filename}`;
    const Meta = z.object({ job: z.string() });
    const { job } = await packhouse.call(Meta, "GET", `${binary}?meta`);
    const name = folder.slice(0, folder.indexOf("/"));
    const listing = await packhouse.call(z.record(z.string(), z.unknown()), "GET", `/packages/${folder}/`);
    const answers = await Promise.all(
      [
        `/packages/${name}/`,
        `${binary}?meta`,
        new URL(job).pathname,
        `/package/${sha256}`,
        `/search/?sha256=${sha256}`,
      ].map(async (path) => await packhouse.call(z.unknown(), "GET", path)),
    );
    const found = await packhouse.call(z.array(z.looseObject({ path: z.string() })), "GET", `/search/?name=${name}`);
    const told = [...answers, listing[filename], found.find(({ path }) => path === `${folder}/${filename}`)];
    return told.map((one) =>
      String(JSON.stringify(one))
        .replaceAll(/[0-9a-f]{32}-[\w-]+/g, "JOB")
        .replaceAll(name, "NAME")
        .replaceAll(/\/blobs\/[0-9a-f]{2}\//g, "/blobs/HEX2/")
        .replaceAll(/[0-9a-f]{32,}/g, (hex) => `HEX${hex.length}`)
        .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME")
        .replaceAll(/"last_updated":"[^"]*"/g, '"last_updated":"AGO"'),
    );
  };
  const [found, expected] = [await tell(filled), await tell(uploaded)];
  const index = found.findIndex((text, nth) => text !== expected[nth]);
  if (index >= 0)
    throw new Error(`wrong result: of a filled binary\n${found[index]}\nof an upload\n${expected[index]}`);
}
