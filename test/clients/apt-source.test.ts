import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sha256Of } from "../../shared/blob.ts";
import { type AptClient, openApt } from "../support/clients-apt.ts";
import { openSite, type Site } from "../support/clients-site.ts";
import { buildDeb } from "../support/deb-builder.ts";
import { smallKey } from "../support/small-key.ts";
import { changesOf, type NamedBytes, sourcePackage } from "../support/sources.ts";
import { jobIn, send } from "../support/surface-changes.ts";
import { makeKey } from "../support/upstream-reprepro.ts";

let site: Site;
let apt: AptClient;
let dsc: NamedBytes;
const SIGNER = "builder@lab.test";
const QUILT = sourcePackage({
  name: "lab",
  version: "1:1.0+git~rc1-1",
  fields: { "Build-Depends": "tool (>= 1.0), all-tool" },
  text: "of the original\n",
  signature: "-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n",
});
const NATIVE = sourcePackage({ name: "nativelab", version: "2.0", format: "3.0 (native)" });
const debOf = (name: string, architecture = "amd64"): NamedBytes => ({
  name: `${name}_1.0-1_${architecture}.deb`,
  bytes: buildDeb({ control: { Package: name, Architecture: architecture } }),
});

async function run(command: string, ...args: string[]): Promise<string> {
  const { code, output } = await site.bench.run(command, args);
  if (code !== 0) throw new Error(`${command} ${args.join(" ")}: ${code}\n${output}`);
  return output;
}

/** Signed as debsign does it. */
async function signed({ name, bytes }: NamedBytes): Promise<NamedBytes> {
  const path = await site.bench.file(`signed/${name}`, bytes);
  await run("gpg", "--batch", "--local-user", SIGNER, "--clearsign", "--output", `${path}.asc`, path);
  return { name, bytes: await readFile(`${path}.asc`) };
}

/** What apt-get downloads, and unpacks with dpkg-source, into a folder of its own. */
async function source(...wanted: string[]): Promise<{ folder: string; output: string }> {
  const folder = join(site.bench.folder, `unpacked-${wanted.join("-").replaceAll(/[^a-z0-9-]/g, "")}`);
  await mkdir(folder);
  const output = await run(
    "sh",
    "-ec",
    'cd "$1"; APT_CONFIG="$2"; export APT_CONFIG; shift 2; apt-get source "$@"',
    "sh",
    folder,
    apt.config,
    ...wanted,
  );
  return { folder, output };
}

async function publish(files: readonly NamedBytes[], level: string, changes?: string): Promise<void> {
  const jobs = await Promise.all(
    files.map((file) => send(site.packhouse, file, { level, ...(changes === undefined ? {} : { changes }) })),
  );
  await Promise.all(jobs.map((job) => jobIn(site.packhouse, job, "done")));
}

beforeAll(async () => {
  site = await openSite("apt-source");
  await makeKey(site.bench, SIGNER);
  await site.repo("tools", "apt", { ...(await smallKey()), accepts: ["*/test/1/*"] });
  dsc = await signed(QUILT[0] as NamedBytes);
  await publish([dsc, ...QUILT.slice(1)], "lab/test/1/source");
  const native = [...NATIVE, debOf("tool"), debOf("build-essential"), debOf("all-tool", "all")];
  const changes = await signed(changesOf(native, { source: "nativelab", version: "2.0" }));
  await publish([changes, ...native], "nativelab/test/1/amd64", changes.name);
  apt = await openApt(site.bench, "apt", { sources: (await site.read("/apt/tools/packhouse.sources")).toString() });
  await apt.update();
});
afterAll(async () => {
  await site.bench.run("gpgconf", ["--kill", "all"]);
  await site.close();
});

describe("apt", () => {
  test("is told of sources by packhouse.sources", async () => {
    expect((await site.read("/apt/tools/packhouse.sources")).toString()).toMatch(/^Types: deb deb-src$/m);
    expect((await apt.run("apt-cache", "showsrc", "lab")).output).toMatch(/^Version: 1:1\.0\+git~rc1-1$/m);
  });

  test("gets a source package of several parts and unpacks it; the signature of its .dsc is the builder's", async () => {
    const { folder } = await source("lab");
    expect(await readFile(join(folder, "lab-1.0+git~rc1/README"), "utf8")).toBe("of the original\n");
    for (const { name, bytes } of [dsc, ...QUILT.slice(1)]) {
      expect([name, (await readFile(join(folder, name))).equals(bytes)]).toEqual([name, true]);
    }
    const keys = join(site.bench.folder, "builder.gpg");
    await run("gpg", "--batch", "--export", "--output", keys, SIGNER);
    expect(await run("gpgv", "--keyring", keys, join(folder, dsc.name))).toMatch(/Good signature from "builder/);
  });

  test("gets a native source package that came with a .changes", async () => {
    const { folder } = await source("nativelab=2.0");
    expect(await readFile(join(folder, "nativelab-2.0/README"), "utf8")).toBe("of the lab\n");
    expect(await apt.visible()).toEqual(["all-tool=1.0-1", "build-essential=1.0-1", "tool=1.0-1"]);
  });

  test("sees what a source package needs to be built", async () => {
    const { output } = await apt.run("apt-get", "build-dep", "--simulate", "lab");
    expect(output).toMatch(/^Inst tool \(1\.0-1 .*\)$/m);
    expect(output).toMatch(/^Inst all-tool \(1\.0-1 .*\)$/m);
  });

  test("gets it from the commit before, when it is in the repo no longer", async () => {
    const sha256 = sha256Of(dsc.bytes);
    const before = (await site.packhouse.call("GET", "/repo/tools")).body.published_commit;
    const gone = await site.packhouse.call("PATCH", "/repo/tools/packages", { remove: [sha256] });
    expect(gone.status).toBe(200);
    const back = await site.packhouse.call("PATCH", "/repo/tools/packages", { add: { [sha256]: {} } });
    expect([back.status, back.body]).toEqual([200, expect.anything()]);
    const path = `/apt/tools@${before}/source/${sha256}/${QUILT[1]?.name.replaceAll("+", "%2b")}`;
    expect((await site.read(path)).equals(QUILT[1]?.bytes ?? Buffer.alloc(0))).toBe(true);
  });
});

test("a source package is one package of a repo, with its files", async () => {
  const sha256 = sha256Of(dsc.bytes);
  const { body: about } = await site.packhouse.call("GET", `/package/${sha256}`);
  expect(about).toMatchObject({ format: "dsc", name: "lab", version: "1:1.0+git~rc1-1", architecture: "source" });
  expect(about.files).toEqual(
    expect.arrayContaining(
      QUILT.slice(1).map(({ name, bytes }) => ({ name, size: bytes.length, shasum: sha256Of(bytes) })),
    ),
  );
  const { body: packages } = await site.packhouse.call("GET", "/repo/tools/packages?name=lab");
  expect(Object.keys(packages)).toEqual([sha256]);
});
