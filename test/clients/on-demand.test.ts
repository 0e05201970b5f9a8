import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { sha256Of } from "../../shared/blob.ts";
import { waitFor } from "../../shared/wait.ts";
import { openApt } from "../support/clients-apt.ts";
import { deb } from "../support/clients-debs.ts";
import { openDnf } from "../support/clients-dnf.ts";
import { holding, rpm } from "../support/clients-rpms.ts";
import { openSite, type Site } from "../support/clients-site.ts";
import { type AptSite, startAptSite } from "../support/upstream-apt-site.ts";

let site: Site;
let far: AptSite;

beforeAll(async () => {
  site = await openSite("on-demand");
});
beforeEach(async () => {
  far = await startAptSite();
  return () => far.close();
});
afterAll(() => site.close());

/** A repo that has taken over an upstream on demand, published. */
async function repoOf(name: string, type: "apt" | "yum", path: string, settings: object = {}): Promise<void> {
  const { packhouse } = site;
  const upstream = { name: `far-${name}`, type, path, policy: "on_demand", ...settings };
  expect((await packhouse.call("POST", "/upstream", upstream)).status).toBe(201);
  const { job } = (await packhouse.call("GET", `/upstream/far-${name}`)).body;
  expect((await packhouse.call("GET", `${job}?wait=25`)).body).toMatchObject({ state: "done", commit: 1 });
  await site.repo(name, type, {});
  const sync = { sync: { name: `far-${name}`, type: "upstream" } };
  expect((await packhouse.call("PUT", `/repo/${name}/packages`, sync)).status).toBe(200);
  const published = async () => (await packhouse.call("GET", `/repo/${name}`)).body.published_commit === 1;
  expect(await waitFor(published, 20_000)).toBe(true);
}

async function untilOurs(bytes: Uint8Array): Promise<void> {
  const sha = sha256Of(bytes);
  const url = `${site.packhouse.url}/blobs/${sha.slice(0, 2)}/${sha}`;
  expect(await waitFor(async () => (await fetch(url)).status === 200, 20_000)).toBe(true);
}

const README = "/usr/share/doc/hello/README";

test("apt installs from the upstream what is not ours yet, and from us when it is", async () => {
  const hello = deb({ Package: "hello", Version: "1:1.0+b1-1~x" }, { files: { [README]: "hello\n" } });
  far.add(hello.filename, hello.bytes);
  far.index();
  await repoOf("debs", "apt", far.url, { series: ["stable"] });
  expect(far.asked().filter((path) => path.startsWith("pool/"))).toEqual([]);
  const sources = (await site.read("/apt/debs/packhouse.sources")).toString();
  for (const [name, asked] of [
    ["first", 2],
    ["second", 0],
  ] as const) {
    const apt = await openApt(site.bench, `debs-${name}`, { sources });
    await apt.update();
    const installed = await apt.run("apt-get", "install", "--yes", "hello");
    expect(installed.output).not.toMatch(/^[EW]:/m);
    expect(await readFile(join(apt.root, README), "utf8")).toBe("hello\n");
    await untilOurs(hello.bytes);
    // The client's own, and our copy.
    expect([name, far.asked().filter((path) => path.startsWith("pool/"))]).toEqual([
      name,
      Array(asked).fill(`pool/${hello.filename}`),
    ]);
  }
});

test("dnf installs from the upstream what is not ours yet, and from us when it is", async () => {
  const hello = rpm(site.bench.folder, { name: "hello", ...holding(README, "hello") });
  writeFileSync(join(far.folder, hello.filename), hello.bytes);
  execFileSync("createrepo_c", ["--quiet", far.folder]);
  await repoOf("rpms", "yum", far.url);
  far.asked();
  const repoFile = (await site.read("/yum/rpms/packhouse.repo")).toString();
  for (const [name, asked] of [
    ["first", 2],
    ["second", 0],
  ] as const) {
    const dnf = await openDnf(site.bench, `rpms-${name}`, { "rpms.repo": repoFile });
    const { code, output } = await dnf.run("install", "hello");
    expect(code, output).toBe(0);
    expect(await readFile(join(dnf.root, README), "utf8")).toBe("hello\n");
    await untilOurs(hello.bytes);
    expect([name, far.asked()]).toEqual([name, Array(asked).fill(hello.filename)]);
  }
});

test("apt-get source gets each file of a source package, from the upstream and from us", async () => {
  const files = sourcePackage();
  await repoOf("sources", "apt", far.url, { series: ["stable"], architectures: ["amd64", "source"] });
  const key = await site.bench.file("keys/sources.asc", await site.read("/apt/sources/key.asc"));
  far.asked();
  for (const name of ["first", "second"]) {
    const list = `deb-src [signed-by=${key}] ${site.packhouse.url}/apt/sources stable main\n`;
    const apt = await openApt(site.bench, `sources-${name}`, { list });
    await apt.update();
    const folder = join(site.bench.folder, `unpacked-${name}`);
    mkdirSync(folder);
    const env = [`APT_CONFIG=${apt.config}`, "sh", "-ec", `cd '${folder}' && apt-get source greeter`];
    const { code, output } = await site.bench.run("env", env);
    expect(code, output).toBe(0);
    expect(await readFile(join(folder, "greeter-1.0/greeting"), "utf8")).toBe("hello\n");
    for (const [file, bytes] of Object.entries(files)) expect(await readFile(join(folder, file))).toEqual(bytes);
    for (const bytes of Object.values(files)) await untilOurs(bytes);
    const asked = name === "first" ? Object.keys(files).map((file) => `pool/${file}`) : [];
    expect([...new Set(far.asked())].sort()).toEqual(asked.sort());
  }
});

/** Made by dpkg-source, with a signature of the original tar, and listed by apt-ftparchive; the files by name. */
function sourcePackage(): Record<string, Buffer> {
  const top = join(site.bench.folder, "greeter");
  const tree = join(top, "greeter-1.0");
  const control = `Source: greeter
Maintainer: Lab <lab@example.org>
Standards-Version: 4.6.2

Package: greeter
Architecture: all
Description: greets
`;
  const changelog = `greeter (1:1.0-1) stable; urgency=low

  * First.

 -- Lab <lab@example.org>  Mon, 01 Jan 2024 00:00:00 +0000
`;
  mkdirSync(join(tree, "debian/source"), { recursive: true });
  writeFileSync(join(tree, "greeting"), "hello\n");
  execFileSync("tar", ["-C", top, "-czf", join(top, "greeter_1.0.orig.tar.gz"), "--exclude=debian", "greeter-1.0"]);
  writeFileSync(join(top, "greeter_1.0.orig.tar.gz.asc"), SIGNATURE);
  writeFileSync(join(tree, "debian/source/format"), "3.0 (quilt)\n");
  writeFileSync(join(tree, "debian/control"), control);
  writeFileSync(join(tree, "debian/changelog"), changelog);
  execFileSync("dpkg-source", ["--build", "greeter-1.0"], { cwd: top, stdio: "pipe" });
  const names = ["orig.tar.gz", "orig.tar.gz.asc"].map((end) => `greeter_1.0.${end}`);
  const all = [...names, "greeter_1.0-1.debian.tar.xz", "greeter_1.0-1.dsc"];
  const files = Object.fromEntries(all.map((name) => [name, readFileSync(join(top, name))]));
  for (const [name, bytes] of Object.entries(files)) far.add(name, bytes);
  far.add("greeter_1.0-1_all.deb", deb({ Package: "greeter", Version: "1:1.0-1" }).bytes);
  mkdirSync(join(far.folder, "dists/stable/main/source"), { recursive: true });
  execFileSync("sh", ["-ec", "apt-ftparchive sources pool > dists/stable/main/source/Sources"], {
    cwd: far.folder,
    stdio: "pipe",
  });
  far.index();
  return files;
}

const SIGNATURE = `-----BEGIN PGP SIGNATURE-----

iF0EABECAB0WIQQ=
-----END PGP SIGNATURE-----
`;
