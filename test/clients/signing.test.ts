import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sha256Of } from "../../shared/blob.ts";
import { AppError } from "../../shared/error.ts";
import {
  generateSigningKey,
  publicKeyArmored,
  publicKeyBinary,
  type SigningKey,
  signCleartext,
  signDetached,
} from "../../shared/signing/openpgp.ts";

type Run = { code: number; output: string };

function run(command: string, args: readonly string[], env: Record<string, string> = {}): Promise<Run> {
  const options = {
    env: { ...process.env, LC_ALL: "C.UTF-8", GNUPGHOME: join(folder, "gnupg"), ...env },
    maxBuffer: 1 << 26,
  };
  return new Promise((resolve) => {
    execFile(command, args, options, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) || 1 : 0, output: stdout + stderr }),
    );
  });
}

let folder: string;
let rsa: SigningKey;
let ecc: SigningKey;
let worstDelayMs: number;
const now = new Date();

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(path, content);
  return path;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "packhouse-signing-"));
  await mkdir(join(folder, "gnupg"), { mode: 0o700 });
  const delays = monitorEventLoopDelay({ resolution: 5 });
  delays.enable();
  rsa = await generateSigningKey({ userId: "Packhouse repo tools", now });
  delays.disable();
  worstDelayMs = delays.max / 1e6;
  ecc = await generateSigningKey({ userId: "Packhouse repo größe", algorithm: "ed25519Legacy", now });
});

afterAll(() => rm(folder, { recursive: true, force: true }));

test("making an RSA key leaves the event loop free", () => {
  expect(worstDelayMs).toBeLessThan(200);
});

test("a key is told by its whole fingerprint, which gpg reads alike, of RSA 4096 in version 4", async () => {
  expect(rsa.keyId).toMatch(/^[0-9A-F]{40}$/);
  const packets = await run("gpg", [
    "--list-packets",
    await file("one.gpg", await publicKeyBinary([rsa.privateKeyArmored])),
  ]);
  expect(packets.output).toMatch(/version 4, algo 1/);
  expect(packets.output).toMatch(/pkey\[0\]: \[4096 bits\]/);
  expect(packets.output).not.toMatch(/secret key|notation|public sub key/);
  const shown = await run("gpg", ["--show-keys", "--with-colons", join(folder, "one.gpg")]);
  expect(shown.output).toContain(`fpr:::::::::${rsa.keyId}:`);
});

test("what is published never holds the private key, and no armor names its maker", async () => {
  const keys = [rsa.privateKeyArmored, ecc.privateKeyArmored];
  const texts = [
    await publicKeyArmored(keys),
    await signDetached("x", keys, now),
    await signCleartext("x\n", keys, now),
  ];
  for (const text of texts) expect(text).not.toMatch(/PRIVATE|Version:|Comment:|openpgpjs/i);
});

test("the same text, keys and date give the same signature", async () => {
  const keys = [rsa.privateKeyArmored, ecc.privateKeyArmored];
  expect(await signCleartext("a\n", keys, now)).toBe(await signCleartext("a\n", keys, now));
});

test("no key, a public key or no key at all refuses to sign", async () => {
  await expect(signDetached("x", [], now)).rejects.toBeInstanceOf(AppError);
  await expect(signDetached("x", [await publicKeyArmored([rsa.privateKeyArmored])], now)).rejects.toThrow(/is public/);
  await expect(signDetached("x", ["nonsense"], now)).rejects.toThrow();
});

const texts: Record<string, string> = {
  "plain lines": "Origin: tools\nSuite: stable\n",
  "lines that begin with dashes": "-\n- a\n--\n-----BEGIN PGP SIGNATURE-----\n- - x\n",
  "trailing blanks": "a \nb\t\n c  \t \n \n",
  "ends of lines with carriage returns": "a\r\nb\r\n\r\nc\rd\r\n",
  "no final newline": "a\nb",
  "empty lines at both ends": "\n\na\n\n\n",
  "nothing but a newline": "\n",
  "letters beyond ASCII": "Description: Größe 包 🦊 \u2028- x \u2029-y\u0085\n",
  "a long line": `${"x".repeat(15_000)}\n`,
};

describe.each(Object.entries(texts))("cleartext with %s", (name, text) => {
  test.each(["rsa", "ecc", "both"] as const)("verifies in gpg when signed by %s", async (who) => {
    const keys = who === "both" ? [rsa, ecc] : [who === "rsa" ? rsa : ecc];
    const secrets = keys.map((key) => key.privateKeyArmored);
    const ring = await file(`${name}/${who}.gpg`, await publicKeyBinary(secrets));
    const inRelease = await file(`${name}/${who}.asc`, await signCleartext(text, secrets, now));
    const output = join(folder, name, `${who}.out`);
    const verified = await run("gpgv", ["--status-fd", "1", "--keyring", ring, "--output", output, inRelease]);
    expect(verified.output).not.toMatch(/BADSIG|ERRSIG/);
    expect(verified.output.match(/GOODSIG/g)).toHaveLength(keys.length);
    expect(verified.output.match(/VALIDSIG .* (1|22) 10 01 /g)).toHaveLength(keys.length);
    const lines = text.replace(/[ \t\r]+(?=\n|$)/g, "");
    expect(await readFile(output, "utf8")).toBe(lines.endsWith("\n") ? lines : `${lines}\n`);
  });

  test("verifies detached, byte for byte", async () => {
    const secrets = [rsa.privateKeyArmored, ecc.privateKeyArmored];
    const ring = await file(`${name}/ring.gpg`, await publicKeyBinary(secrets));
    const signature = await file(`${name}/text.sig`, await signDetached(text, secrets, now));
    const verified = await run("gpgv", ["--keyring", ring, signature, await file(`${name}/text`, text)]);
    expect(verified).toMatchObject({ code: 0 });
    const other = await run("gpgv", ["--keyring", ring, signature, await file(`${name}/text2`, `${text} `)]);
    expect(other.output).toMatch(/BAD signature/);
  });
});

test("a changed word, or another key's holder, fails in gpgv", async () => {
  const signed = await signCleartext("Suite: stable\n", [rsa.privateKeyArmored], now);
  const ring = await file("tamper/rsa.gpg", await publicKeyBinary([rsa.privateKeyArmored]));
  const foreign = await file("tamper/ecc.gpg", await publicKeyBinary([ecc.privateKeyArmored]));
  const changed = await file("tamper/changed", signed.replace("stable", "sid"));
  expect((await run("gpgv", ["--keyring", ring, changed])).output).toMatch(/BAD signature/);
  expect((await run("gpgv", ["--keyring", foreign, await file("tamper/ok", signed)])).code).not.toBe(0);
});

test("bytes that are no text are signed as they are", async () => {
  const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => (i * 7) % 256);
  const ring = await file("bytes/ring.gpg", await publicKeyBinary([ecc.privateKeyArmored]));
  const signature = await file("bytes/sig", await signDetached(bytes, [ecc.privateKeyArmored], now));
  expect(await run("gpgv", ["--keyring", ring, signature, await file("bytes/in", bytes)])).toMatchObject({ code: 0 });
});

test("gpg --dearmor of key.asc is key.gpg", async () => {
  const keys = [rsa.privateKeyArmored, ecc.privateKeyArmored];
  const armored = await file("dearmor/key.asc", await publicKeyArmored(keys));
  const out = join(folder, "dearmor/out.gpg");
  expect(await run("gpg", ["--batch", "--dearmor", "--output", out, armored])).toMatchObject({ code: 0 });
  expect(await readFile(out)).toEqual(Buffer.from(await publicKeyBinary(keys)));
});

test("rpm --import takes every certificate of key.asc", async () => {
  const armored = await file("rpm/key.asc", await publicKeyArmored([rsa.privateKeyArmored, ecc.privateKeyArmored]));
  const dbpath = join(folder, "rpm/db");
  expect(await run("rpm", ["--dbpath", dbpath, "--import", armored])).toMatchObject({ code: 0 });
  const held = await run("rpm", ["--dbpath", dbpath, "-qa", "gpg-pubkey", "--qf", "%{version}\n"]);
  const shortIds = [rsa, ecc].map((key) => key.keyId.slice(-8).toLowerCase());
  expect(held.output.trim().split("\n").sort()).toEqual(shortIds.sort());
});

describe("apt", () => {
  /** A flat repository with one package, signed by `signers`; what apt-cache sees after an update with the keyring. */
  async function seen(name: string, signers: SigningKey[], signedBy: (root: string) => Promise<string>, inline = true) {
    const root = join(folder, name);
    const secrets = signers.map((key) => key.privateKeyArmored);
    const packages = "Package: hello\nVersion: 1.0\nArchitecture: all\nFilename: ./hello.deb\nSize: 1\nSHA256: ";
    const index = `${packages}${sha256Of("x")}\nDescription: hello\n\n`;
    const hash = (path: string, bytes: Uint8Array | string) =>
      ` ${sha256Of(bytes)} ${Buffer.from(bytes).length} ${path}\n`;
    const gz = gzipSync(index);
    const release = `Origin: tools\nDate: ${now.toUTCString()}\nSHA256:\n${hash("Packages", index)}${hash("Packages.gz", gz)}`;
    await file(`${name}/repo/Packages.gz`, gz);
    if (inline) await file(`${name}/repo/InRelease`, await signCleartext(release, secrets, now));
    else {
      await file(`${name}/repo/Release`, release);
      await file(`${name}/repo/Release.gpg`, await signDetached(release, secrets, now));
    }
    await file(
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
    const update = await run("apt-get", ["update", ...options]);
    const policy = await run("apt-cache", ["policy", "hello", ...options]);
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
    const built = await run("rpmbuild", ["-bb", "--define", `_topdir ${folder}/build`, await file("hello.spec", spec)]);
    expect(built).toMatchObject({ code: 0 });
    rpm = join(folder, "build/RPMS/noarch/hello-1-1.noarch.rpm");
  });

  async function seen(name: string, signers: SigningKey[], holder: SigningKey[], tamper = ""): Promise<Run> {
    const root = join(folder, name);
    await file(`${name}/repo/hello.rpm`, await readFile(rpm));
    expect(await run("createrepo_c", [join(root, "repo")])).toMatchObject({ code: 0 });
    const repomd = await readFile(join(root, "repo/repodata/repomd.xml"), "utf8");
    const secrets = signers.map((key) => key.privateKeyArmored);
    await file(`${name}/repo/repodata/repomd.xml`, repomd + tamper);
    await file(`${name}/repo/repodata/repomd.xml.asc`, await signDetached(repomd, secrets, now));
    const key = await file(`${name}/key.asc`, await publicKeyArmored(holder.map((one) => one.privateKeyArmored)));
    const lines = [
      "name=x",
      `baseurl=file://${root}/repo`,
      "enabled=1",
      "gpgcheck=0",
      "repo_gpgcheck=1",
      `gpgkey=file://${key}`,
    ];
    await file(`${name}/repos/x.repo`, `[x]\n${lines.join("\n")}\n`);
    const options = ["-y", "--installroot", join(root, "root"), "--releasever=1", `--setopt=reposdir=${root}/repos`];
    return run("dnf", [...options, `--setopt=cachedir=${root}/cache`, "repoquery", "hello"]);
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
