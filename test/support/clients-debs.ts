import type { NamedPackage } from "./clients-site.ts";
import { buildDeb, type DebSpec } from "./deb-builder.ts";

export type BuiltDeb = NamedPackage & { readonly version: string };

/** A .deb under the name that dpkg-deb would give it: without the epoch. */
export function deb(
  fields: Readonly<Record<string, string>> & { Package: string },
  spec: Omit<DebSpec, "control"> & { filename?: string } = {},
): BuiltDeb {
  const control: Record<string, string> = { Version: "1.0-1", Architecture: "all", ...fields };
  const { Package: name, Version: version = "", Architecture: architecture = "" } = control;
  return {
    name: control.Package ?? "",
    version,
    architecture,
    filename: spec.filename ?? `${name}_${version.replace(/^\d+:/, "")}_${architecture}.deb`,
    bytes: buildDeb({ ...spec, control }),
  };
}

/** Of every kind that dpkg-deb makes: compressions, versions, architectures, fields. */
export function everyKindOfDeb(): BuiltDeb[] {
  const files = { "usr/share/doc/lab/README": "lab\n" };
  const compressed = (kind: string) => ({ files, options: [`-Z${kind}`, "--uniform-compression"] });
  return [
    deb({ Package: "packed-gz", Architecture: "amd64" }, compressed("gzip")),
    deb({ Package: "packed-xz", Architecture: "amd64" }, compressed("xz")),
    deb({ Package: "packed-zst", Architecture: "amd64" }, compressed("zstd")),
    deb({ Package: "packed-none", Architecture: "amd64" }, compressed("none")),
    deb({ Package: "epoch", Architecture: "amd64", Version: "2:1.0-1" }),
    deb({ Package: "epoch-told", Version: "1:3" }, { filename: "epoch-told_1:3_all.deb" }),
    deb({ Package: "plus", Architecture: "amd64", Version: "1.0+dfsg+really0.9-1+b2" }),
    deb({ Package: "tilde", Architecture: "amd64", Version: "1.0~rc1~git20240101-1~deb12u1" }),
    deb({ Package: "everything", Version: "1:2.0+git~rc1-0.1~bpo12+1" }),
    deb({ Package: "g++-lab", Architecture: "amd64", Version: "12.2" }),
    deb({ Package: "foreign", Architecture: "arm64" }),
    deb({ Package: "both", Architecture: "amd64" }),
    deb({ Package: "both", Architecture: "arm64" }),
    deb({ Package: "renamed", Version: "1-1" }, { filename: "another name, no~.deb".replaceAll(/[ ,]/g, "-") }),
    deb(ALL_FIELDS, { files, controlFiles: { conffiles: "/etc/lab.conf\n", postinst: "#!/bin/sh\n" } }),
  ];
}

const ALL_FIELDS = {
  Package: "lab-fields",
  Version: "1.0-1+b1",
  Source: "lab (1.0-1)",
  Architecture: "amd64",
  "Multi-Arch": "same",
  Maintainer: "Jürgen Größe <j@example.org>",
  "Original-Maintainer": "Ann Other <ann@example.org>",
  "Installed-Size": "1234",
  "Pre-Depends": "libc6 (>= 2.34)",
  Depends: "libfoo1 (= 1:1.0-1~), bar | baz:any (<< 2),\n libqux:native",
  Recommends: "lab-doc",
  Suggests: "lab-gui | lab-tui",
  Enhances: "vim",
  Conflicts: "old-lab",
  Breaks: "older-lab (<< 1)",
  Replaces: "older-lab (<< 1)",
  Provides: "virtual-lab (= 1.0), lab-api",
  "Built-Using": "gcc-12 (= 12.2.0-14), binutils (= 2.40-2)",
  Section: "contrib/net",
  Priority: "optional",
  Homepage: "https://example.org/?a=1&b=2",
  Tag: "devel::lang:c, role::program,\n use::testing",
  "Phased-Update-Percentage": "20",
  "X-Own-Field": "kept as it is",
  Bugs: "https://bugs.example.org",
  Origin: "Lab",
  Description: "one line of text\n Further text, then an empty line\n .\n  - verbatim\n  - größer 包 🦊\n Last line.",
};
