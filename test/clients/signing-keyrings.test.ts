import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sha256Of } from "../../shared/blob.ts";
import {
  generateSigningKey,
  publicKeyArmored,
  publicKeyBinary,
  type SigningKey,
  signCleartext,
  signDetached,
} from "../../shared/signing/openpgp.ts";
import { openWorkbench, type Run, type Workbench } from "../support/workbench.ts";

let bench: Workbench;
let rsa: SigningKey;
let ecc: SigningKey;
const now = new Date();

beforeAll(async () => {
  bench = await openWorkbench("keyrings");
  rsa = await generateSigningKey({ userId: "Packhouse repo tools", now });
  ecc = await generateSigningKey({ userId: "Packhouse repo größe", algorithm: "ed25519Legacy", now });
});

afterAll(() => bench.remove());

describe("apt", () => {
  /** A flat repository with one package, signed by `signers`; what apt-cache sees after an update with the keyring. */
  async function seen(name: string, signers: SigningKey[], signedBy: (root: string) => Promise<string>, inline = true) {
    const root = join(bench.folder, name);
    const secrets = signers.map((key) => key.privateKeyArmored);
    const packages = "Package: hello\nVersion: 1.0\nArchitecture: all\nFilename: ./hello.deb\nSize: 1\nSHA256: ";
    const index = `${packages}${sha256Of("x")}\nDescription: hello\n\n`;
    const hash = (path: string, bytes: Uint8Array | string) =>
      ` ${sha256Of(bytes)} ${Buffer.from(bytes).length} ${path}\n`;
    const gz = gzipSync(index);
    const release = `Origin: tools\nDate: ${now.toUTCString()}\nSHA256:\n${hash("Packages", index)}${hash("Packages.gz", gz)}`;
    await bench.file(`${name}/repo/Packages.gz`, gz);
    if (inline) await bench.file(`${name}/repo/InRelease`, await signCleartext(release, secrets, now));
    else {
      await bench.file(`${name}/repo/Release`, release);
      await bench.file(`${name}/repo/Release.gpg`, await signDetached(release, secrets, now));
    }
    await bench.file(
      `${name}/sources.list.d/x.sources`,
      `Types: deb\nURIs: file:${root}/repo\nSuites: ./\n${await signedBy(root)}`,
    );
    for (const path of ["state/lists/partial", "cache/archives/partial"])
      await mkdir(join(root, path), { recursive: true });
    const options = [
      `Dir::State=${root}/state`,
      `Dir::Cache=${root}/cache`,
      "Dir::State::status=/dev/null",
      "Dir::Etc::sourcelist=/dev/null",
      `Dir::Etc::sourceparts=${root}/sources.list.d`,
      "Dir::Etc::trustedparts=/dev/null",
      "Dir::Etc::trusted=/dev/null",
      "APT::Sandbox::User=root",
    ].flatMap((option) => ["-o", option]);
    const update = await bench.run("apt-get", ["update", ...options]);
    const policy = await bench.run("apt-cache", ["policy", "hello", ...options]);
    return { update: update.output, visible: policy.output.includes("Candidate: 1.0") };
  }

  const inFile =
    (content: (keys: string[]) => Promise<string | Uint8Array>, extension: string, keys: () => SigningKey[]) =>
    async (root: string): Promise<string> => {
      await writeFile(join(root, `key.${extension}`), await content(keys().map((key) => key.privateKeyArmored)));
      return `Signed-By: ${root}/key.${extension}\n`;
    };

  test.each([
    ["rsa", () => [rsa]],
    ["ecc", () => [ecc]],
    ["both", () => [rsa, ecc]],
  ] as const)("takes key.asc and key.gpg of %s in signed-by, both forms of signature", async (who, signers) => {
    const keys = () => [...signers()];
    expect(await seen(`apt-asc-${who}`, keys(), inFile(publicKeyArmored, "asc", keys))).toMatchObject({
      visible: true,
    });
    expect(await seen(`apt-gpg-${who}`, keys(), inFile(publicKeyBinary, "gpg", keys))).toMatchObject({ visible: true });
    expect(await seen(`apt-det-${who}`, keys(), inFile(publicKeyArmored, "asc", keys), false)).toMatchObject({
      visible: true,
    });
  });

  test.each([
    ["first", () => [rsa]],
    ["second", () => [ecc]],
  ] as const)("with two signatures serves a holder of the %s key alone", async (who, holder) => {
    const keys = () => [...holder()];
    expect(await seen(`apt-two-${who}`, [rsa, ecc], inFile(publicKeyArmored, "asc", keys))).toMatchObject({
      visible: true,
    });
  });

  test("with one signature serves holders of a key.asc of two, whichever signed", async () => {
    const keys = () => [rsa, ecc];
    expect(await seen("apt-old", [rsa], inFile(publicKeyArmored, "asc", keys))).toMatchObject({ visible: true });
    expect(await seen("apt-new", [ecc], inFile(publicKeyArmored, "asc", keys))).toMatchObject({ visible: true });
  });

  test("takes key.asc of two keys inline in a deb822 source", async () => {
    const inline = async () => {
      const armored = await publicKeyArmored([rsa.privateKeyArmored, ecc.privateKeyArmored]);
      const lines = armored.trimEnd().split("\n");
      return `Signed-By:\n${lines.map((line) => ` ${line || "."}\n`).join("")}`;
    };
    expect(await seen("apt-inline", [ecc], inline)).toMatchObject({ visible: true });
  });

  test("sees nothing when a stranger signed", async () => {
    const refused = await seen(
      "apt-stranger",
      [ecc],
      inFile(publicKeyArmored, "asc", () => [rsa]),
    );
    expect(refused.visible).toBe(false);
    expect(refused.update).toMatch(/NO_PUBKEY/);
  });
});

describe("dnf", () => {
  let rpm: string;
  beforeAll(async () => {
    const spec =
      "Name: hello\nVersion: 1\nRelease: 1\nSummary: hello\nLicense: x\nBuildArch: noarch\n%description\nx\n%files\n";
    const built = await bench.run("rpmbuild", [
      "-bb",
      "--define",
      `_topdir ${bench.folder}/build`,
      await bench.file("hello.spec", spec),
    ]);
    expect(built).toMatchObject({ code: 0 });
    rpm = join(bench.folder, "build/RPMS/noarch/hello-1-1.noarch.rpm");
  });

  async function seen(name: string, signers: SigningKey[], holder: SigningKey[], tamper = ""): Promise<Run> {
    const root = join(bench.folder, name);
    await bench.file(`${name}/repo/hello.rpm`, await readFile(rpm));
    expect(await bench.run("createrepo_c", [join(root, "repo")])).toMatchObject({ code: 0 });
    const repomd = await readFile(join(root, "repo/repodata/repomd.xml"), "utf8");
    const secrets = signers.map((key) => key.privateKeyArmored);
    await bench.file(`${name}/repo/repodata/repomd.xml`, repomd + tamper);
    await bench.file(`${name}/repo/repodata/repomd.xml.asc`, await signDetached(repomd, secrets, now));
    const key = await bench.file(`${name}/key.asc`, await publicKeyArmored(holder.map((one) => one.privateKeyArmored)));
    const lines = [
      "name=x",
      `baseurl=file://${root}/repo`,
      "enabled=1",
      "gpgcheck=0",
      "repo_gpgcheck=1",
      `gpgkey=file://${key}`,
    ];
    await bench.file(`${name}/repos/x.repo`, `[x]\n${lines.join("\n")}\n`);
    const options = ["-y", "--installroot", join(root, "root"), "--releasever=1", `--setopt=reposdir=${root}/repos`];
    return bench.run("dnf", [...options, `--setopt=cachedir=${root}/cache`, "repoquery", "hello"]);
  }

  test("takes repomd.xml.asc of two keys with key.asc of one or of both", async () => {
    expect((await seen("dnf-both", [rsa, ecc], [rsa, ecc])).output).toContain("hello-0:1-1.noarch");
    expect((await seen("dnf-rsa", [rsa, ecc], [rsa])).output).toContain("hello-0:1-1.noarch");
    expect((await seen("dnf-ecc", [rsa, ecc], [ecc])).output).toContain("hello-0:1-1.noarch");
  });

  test("refuses a changed repomd.xml and a stranger's signature", async () => {
    expect((await seen("dnf-changed", [rsa], [rsa], "<!-- -->")).output).not.toContain("hello-0:1-1.noarch");
    expect((await seen("dnf-stranger", [ecc], [rsa])).output).not.toContain("hello-0:1-1.noarch");
  });
});
