import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BuiltDeb, deb } from "../support/clients-debs.ts";
import { openSite, type Site } from "../support/clients-site.ts";
import { SEARCHED } from "../support/requirements.ts";
import type { Run } from "../support/workbench.ts";

let site: Site;
const amd64 = { Architecture: "amd64", Section: "admin" };
const required = { ...amd64, Priority: "required", Essential: "yes" };

/** What stands for Debian's required packages: debootstrap takes all of Priority required, apt, and what they need. */
const debs: BuiltDeb[] = [
  deb({ Package: "base-files", Version: "12.4+deb12u5", ...required }),
  deb({ Package: "base-passwd", Version: "3.6.1", ...required, "Pre-Depends": "libc6 (>= 2.34)" }),
  deb({ Package: "dpkg", Version: "1.21.22", ...required, "Pre-Depends": "libc6", Depends: "tar" }),
  deb({ Package: "mawk", Version: "1.3.4.20200120-3.1", ...required }),
  deb({ Package: "perl-base", Version: "5.36.0-7+deb12u1", ...required }),
  deb({ Package: "tar", Version: "1.34+dfsg-1.2", ...required }, { options: ["-Zzstd"] }),
  deb({ Package: "libc6", Version: "2.36-9~rc1", ...amd64, Priority: "optional", "Multi-Arch": "same" }),
  deb({ Package: "apt", Version: "2:2.6.1", ...amd64, Priority: "important", Depends: "keyring, libc6" }),
  deb({ Package: "keyring", Version: "2023.3+deb12u1", Priority: "important" }),
  deb({ Package: "bystander", ...amd64, Priority: "optional" }),
];

beforeAll(async () => {
  site = await openSite("debootstrap");
  await Promise.all([site.repo("base", "apt", { accepts: ["**"] }), site.repo("empty", "apt", { accepts: [] })]);
  await Promise.all(debs.map((one) => site.publish(one)));
});

afterAll(() => site.close());

async function debootstrap(target: string, repo: string, { keyOf = repo } = {}): Promise<Run> {
  const key = await site.bench.file(`${target}.gpg`, await site.read(`/apt/${keyOf}/key.gpg`));
  const options = ["--download-only", "--arch=amd64", "--variant=minbase", `--keyring=${key}`, "--force-check-gpg"];
  const where = ["stable", join(site.bench.folder, target), `${site.packhouse.url}/apt/${repo}`];
  return site.bench.run("env", [
    `PATH=${SEARCHED.join(":")}`,
    "no_proxy=127.0.0.1",
    "debootstrap",
    ...options,
    ...where,
  ]);
}

describe("debootstrap", () => {
  test("verifies the signature and downloads the base system byte for byte", async () => {
    const { code, output } = await debootstrap("system", "base");
    expect(code, output).toBe(0);
    expect(output).toMatch(/Valid Release signature \(key id [0-9A-F]{40}\)/);
    const archives = join(site.bench.folder, "system/var/cache/apt/archives");
    const wanted = debs.filter(({ name }) => name !== "bystander");
    const fileOf = ({ name, version, architecture }: BuiltDeb) =>
      `${name}_${version.replace(":", "%3a")}_${architecture}.deb`;
    expect((await readdir(archives)).filter((file) => file.endsWith(".deb")).sort()).toEqual(wanted.map(fileOf).sort());
    for (const one of wanted) expect((await readFile(join(archives, fileOf(one)))).equals(one.bytes)).toBe(true);
  });

  test("is refused by a keyring of another repo", async () => {
    const { code, output } = await debootstrap("stranger", "base", { keyOf: "empty" });
    expect(code).not.toBe(0);
    expect(output).toMatch(/Release signed by unknown key/);
    expect(existsSync(join(site.bench.folder, "stranger/var/cache/apt/archives/apt_2%3a2.6.1_amd64.deb"))).toBe(false);
  });

  test("gets past Release and Packages of a repo that is still empty, and misses only packages", async () => {
    const { code, output } = await debootstrap("empty", "empty");
    expect(code).not.toBe(0);
    expect(output).toMatch(/Valid Release signature/);
    expect(output).toMatch(/Couldn't find these debs: apt/);
    expect(output).not.toMatch(/Couldn't download|no entry for/);
  });
});
