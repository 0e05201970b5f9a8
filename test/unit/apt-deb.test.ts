import { execFileSync } from "node:child_process";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { fieldOf } from "../../shared/apt/control.ts";
import { Deb, readDeb } from "../../shared/apt/deb.ts";
import { packagesStanza } from "../../shared/apt/stanza.ts";
import { type RangeSource, rangesOf, sha256Of } from "../../shared/blob.ts";
import {
  arOf,
  buildDeb,
  controlText,
  DEBIAN_BINARY,
  type DebSpec,
  rawDeb,
  tarOf,
  withFile,
} from "../support/deb-builder.ts";

const LONG = Array.from({ length: 9000 }, (_, i) => `${sha256Of(String(i)).slice(0, 32)}  usr/share/lab/file-${i}`);
const NOISE = LONG.map((line) => sha256Of(line)).join("\n");

/** What teams and Debian pack, each by one property that a reader may stumble over. */
const SPECS: Record<string, DebSpec> = {
  "as dpkg-deb packs by default": {},
  "compressed by gzip": { options: ["-Zgzip"] },
  "compressed by xz": { options: ["-Zxz", "-z9", "-Sextreme"] },
  "compressed by zstd": { options: ["-Zzstd"] },
  "compressed by zstd, hardest": { options: ["-Zzstd", "-z22"] },
  "not compressed": { options: ["-Znone"] },
  "control by gzip, data by xz": { options: ["-Zxz", "--no-uniform-compression"] },
  "an epoch, plus and tilde": { control: { Version: "2:1.0+git~rc1-0ubuntu1~22.04+b2" } },
  "architecture all": { control: { Architecture: "all" } },
  "a name with every character": { control: { Package: "0lib-x+y.z" } },
  "a maintainer beyond ASCII": { control: { Maintainer: "Žofie Ærøskøbing 北京 <z@example.org>" } },
  "many lines": {
    control: {
      Description: "short\n long text  \n .\n   code\n\ttab\n * café",
      Depends: "libc6 (>= 2.36),\n libfoo:any | bar:native (= 1),\n baz",
      Conffiles: "\n /etc/lab 0123456789abcdef0123456789abcdef\n /etc/other 0123456789abcdef0123456789abcdef",
    },
  },
  "fields of one's own": { control: { "Ruby-Versions": "all", "X-Lab_Thing": "1: 2", homepage: "https://x.org/#a" } },
  "fields that are ours to say": {
    control: { Filename: "../../etc/passwd", size: "1", SHA256: "00", MD5sum: "00", "Description-md5": "00" },
  },
  "fields without a value": { control: { Depends: "", Section: "", Priority: "", Origin: "x" } },
  "spaces before the colon": { control: `Package : lab\nVersion\t: 1\nArchitecture: amd64\n` },
  "empty lines at its end": { control: `${controlText()}\n\n` },
  "carriage returns": { control: controlText({ Description: "short\n long\n .\n more" }).replaceAll("\n", "\r\n") },
  "a large control archive": {
    controlFiles: { conffiles: `/etc/lab\n`, md5sums: LONG.join("\n"), postinst: NOISE },
    files: { "etc/lab": "x" },
    options: ["-Zgzip"],
  },
  "a large control archive, plain": { controlFiles: { md5sums: LONG.join("\n") }, options: ["-Znone"] },
  "a large control archive, xz": { controlFiles: { md5sums: NOISE }, options: ["-Zxz"] },
  "a large control archive, zstd": { controlFiles: { md5sums: NOISE }, options: ["-Zzstd"] },
};

describe.each(Object.entries(SPECS))("a .deb with %s", (_, spec) => {
  const bytes = buildDeb(spec);

  test("has the fields that dpkg-deb reads in it", async () => {
    const deb = await readDeb(rangesOf(bytes));
    withFile(bytes, (path) => {
      for (const [name, value] of deb.control) {
        const told = execFileSync("dpkg-deb", ["--field", path, name], { encoding: "utf8" }).replace(/\n$/, "");
        // dpkg tells dependencies in its own layout, and nothing of what only its database holds.
        const expected =
          name === "Depends"
            ? value.replaceAll("\n", "")
            : /^(conffiles|filename|size|md5sum)$/i.test(name)
              ? ""
              : value;
        expect([name, expected]).toEqual([name, told.trimEnd()]);
      }
      const named = execFileSync("dpkg-deb", [
        "--show",
        `--showformat=${["Package", "Version", "Architecture"].map((name) => `\${${name}}`).join(" ")}`,
        path,
      ]);
      expect(`${deb.name} ${deb.version} ${deb.architecture}`).toBe(String(named));
      const all = execFileSync("dpkg-deb", ["--field", path], { encoding: "utf8" });
      expect(deb.control.length).toBe(all.split("\n").filter((line) => /^\S/.test(line)).length);
    });
    expect(Deb.parse(JSON.parse(JSON.stringify(deb)))).toEqual(deb);
  });

  test("has the stanza that apt-ftparchive writes of it", async () => {
    const deb = await readDeb(rangesOf(bytes));
    const stanza = packagesStanza(deb, { filename: "./lab.deb", sizeBytes: bytes.length, sha256: sha256Of(bytes) });
    const theirs = withFile(bytes, (_path, cwd) =>
      execFileSync("apt-ftparchive", ["packages", "."], { cwd, encoding: "utf8" }),
    );
    expect(stanza).toBe(`${theirs.replace(/^(MD5sum|SHA1|SHA512|Description-md5): .*\n/gm, "").trimEnd()}\n\n`);
  });
});

test("white space between colon and value is not kept, that within a value is", async () => {
  const deb = await readDeb(rangesOf(buildDeb({ control: `${controlText()}Origin:   a  b \t\n` })));
  expect(fieldOf(deb.control, "ORIGIN")).toBe("a  b");
});

type Reads = RangeSource & { log: [offset: number, length: number][] };

function counted(bytes: Uint8Array, sizeBytes = bytes.length): Reads {
  const log: [number, number][] = [];
  return {
    log,
    sizeBytes,
    // Beyond `bytes` the file is all zeros: a data archive that nobody should read.
    read: async (offset, length) => {
      log.push([offset, length]);
      const out = new Uint8Array(Math.min(length, sizeBytes - offset));
      out.set(bytes.subarray(offset, offset + length));
      return out;
    },
  };
}

describe("the reads that a .deb costs", () => {
  test("a small one is one read of 64 KB at most", async () => {
    const source = counted(buildDeb({ files: { "usr/share/noise": NOISE } }));
    await readDeb(source);
    expect(source.log).toHaveLength(1);
    expect(source.log[0]?.[1]).toBeLessThanOrEqual(65_536);
  });

  test("a large control archive is a second read, which fetches it to its end and no further", async () => {
    const bytes = buildDeb({
      controlFiles: { md5sums: NOISE },
      files: { "usr/share/noise": NOISE },
      options: ["-Zgzip"],
    });
    const source = counted(bytes);
    await readDeb(source);
    const controlSize = Number(bytes.toString("latin1", 72 + 48, 72 + 58));
    expect(source.log).toHaveLength(2);
    expect(source.log.reduce((sum, [, length]) => sum + length, 0)).toBeLessThanOrEqual(72 + 60 + controlSize + 1 + 60);
  });

  // Where each begins is known from the ar headers alone, so 9 GB are stepped over.
  const head = (tail: number, dataSize: number) => {
    const control = gzipSync(tarOf([{ name: "./control", content: controlText() }]));
    const bytes = rawDeb(control, {
      name: "control.tar.gz",
      after: [{ name: "data.tar.xz", content: Buffer.alloc(0), size: String(dataSize) }],
    });
    return { bytes, sizeBytes: bytes.length + dataSize + tail };
  };

  test("five gigabytes of data are never read", async () => {
    const { bytes, sizeBytes } = head(0, 5_000_000_000);
    const source = counted(bytes, sizeBytes);
    expect(await readDeb(source)).toMatchObject({ name: "lab", signed: false });
    expect(source.log).toEqual([[0, 65_536]]);
  });

  test("a signature after five gigabytes costs one more read", async () => {
    const { bytes, sizeBytes } = head(60 + 500, 5_000_000_000);
    const signature = arOf([{ name: "_gpgorigin", content: Buffer.alloc(500) }]).subarray(8);
    const source = counted(bytes, sizeBytes);
    const at = bytes.length + 5_000_000_000;
    const read = source.read;
    const signedSource: Reads = {
      ...source,
      read: async (offset, length) => {
        const zeros = await read(offset, length);
        return offset === at ? signature : zeros;
      },
    };
    expect((await readDeb(signedSource)).signed).toBe(true);
    expect(source.log).toEqual([
      [0, 65_536],
      [at, 560],
    ]);
  });
});

describe("signed", () => {
  const parts = (...names: string[]) =>
    arOf([
      DEBIAN_BINARY,
      ...names.map((name) => ({
        name,
        content: name.startsWith("control") ? tarOf([{ name: "control", content: controlText() }]) : Buffer.from("odd"),
      })),
    ]);

  test.each([
    [["control.tar", "data.tar.xz", "_gpgorigin"], true],
    [["control.tar", "data.tar.xz", "_gpgbuilder/"], true],
    [["control.tar", "data.tar.xz", "_other", "_gpgorigin"], true],
    [["control.tar", "_gpgorigin", "data.tar.xz"], true],
    [["_gpgorigin", "control.tar", "data.tar.xz"], true],
    [["control.tar", "data.tar.xz"], false],
    [["_extra", "control.tar", "_more", "data.tar.xz", "_notes"], false],
    [["control.tar/", "data.tar.bz2/"], false],
  ])("%j: %s", async (names, signed) => {
    expect((await readDeb(rangesOf(parts(...names)))).signed).toBe(signed);
  });

  test("a member that binutils' ar appended is found", async () => {
    const bytes = buildDeb();
    const signed = withFile(bytes, (path, folder) => {
      execFileSync("sh", ["-c", `echo signature > _gpgorigin && ar q '${path}' _gpgorigin`], { cwd: folder });
      return execFileSync("cat", [path]);
    });
    expect((await readDeb(rangesOf(bytes))).signed).toBe(false);
    expect((await readDeb(rangesOf(signed))).signed).toBe(true);
  });
});

test.each([
  ["control", "0"],
  ["./control", "0"],
  [".//control", "\0"],
])("the control file is found as %j of type %j, last in its archive and after large ones", async (name, type) => {
  const tar = tarOf([
    { name: "./", type: "5" },
    { name: "./md5sums", content: Buffer.alloc(3_000_000, "x") },
    { name: "./sub/control", content: "Package: decoy\n" },
    { name, content: controlText(), type },
  ]);
  expect(await readDeb(rangesOf(rawDeb(gzipSync(tar), { name: "control.tar.gz" })))).toMatchObject({ name: "lab" });
});

test.each(["gnu", "oldgnu", "posix", "ustar", "v7"])("a control archive in tar's %s format is read", async (format) => {
  const tar = withFile(Buffer.from(controlText()), (path, folder) => {
    const long = "along-".repeat(16);
    execFileSync(
      "sh",
      ["-c", `mv '${path}' control && mkdir -p '${long}/x' && echo > '${long}/x/${long.slice(0, 90)}'`],
      {
        cwd: folder,
      },
    );
    const owner = [
      `--owner=lab:${format === "gnu" ? 4_000_000 : 1000}`,
      ...(format === "v7" ? ["--exclude=along*"] : []),
    ];
    return execFileSync("tar", ["-c", `--format=${format}`, ...owner, "--sort=name", "."], {
      cwd: folder,
      maxBuffer: 1e8,
    });
  });
  expect(await readDeb(rangesOf(rawDeb(tar)))).toMatchObject({ name: "lab", version: "1.0-1" });
});

describe("what tar writes before an entry counts for that entry alone", () => {
  const read = async (tar: Uint8Array) => (await readDeb(rangesOf(rawDeb(tar)))).name;
  const control = { name: "./control", content: controlText() };
  const record = (text: string) => `${text.length + 4} ${text}\n`;

  test("a GNU long name", async () => {
    const named = tarOf([
      { name: "././@LongLink", type: "L", content: "./control\0" },
      { ...control, name: "./con" },
      { name: "x" },
    ]);
    expect(await read(named)).toBe("lab");
    const other = tarOf([
      { name: "././@LongLink", type: "L", content: "./other\0" },
      { name: "o", content: "x" },
      control,
    ]);
    expect(await read(other)).toBe("lab");
  });

  test("a pax path and size", async () => {
    const size = record(`size=${controlText().length}`);
    const pax = { name: "PaxHeaders/x", type: "x", content: `${record("path=./control")}${size}` };
    const sized = tarOf([pax, { ...control, name: "./con", size: 0 }, { name: "./after", content: "after" }]);
    expect(await read(sized)).toBe("lab");
    expect(await read(tarOf([{ ...pax, content: record("path=./xx") }, { name: "x" }, control]))).toBe("lab");
    expect(await read(tarOf([{ ...pax, type: "g", content: record("path=./xx") }, control]))).toBe("lab");
  });

  test("a size in GNU's base 256", async () => {
    const tar = tarOf([control]);
    const size = Buffer.alloc(12);
    size[0] = 0x80;
    size.writeUInt16BE(controlText().length, 10);
    size.copy(tar, 124);
    tar.write("        ", 148);
    tar.write(
      `${tar
        .subarray(0, 512)
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, "0")}\0 `,
      148,
    );
    expect(await read(tar)).toBe("lab");
  });
});
