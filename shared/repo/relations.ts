import { fieldOf, parseParagraph } from "../apt/control.ts";
import type { Parsed } from "../package.ts";
import type { Entry } from "../tree/entry.ts";
import { PACKAGES, SOURCES } from "../tree/layout.ts";
import { readXml, type XmlElement } from "../yum/index-tree.ts";

/** What a package needs and what it stands for, as its format writes them. */
export type Relations = { readonly depends: readonly string[]; readonly provides: readonly string[] };

const NONE: Relations = { depends: [], provides: [] };

/** Of a package that we parsed. */
export function relationsOfParsed(parsed: Parsed): Relations {
  switch (parsed.format) {
    case "deb":
      return relationsOfControl(parsed.control);
    case "rpm":
      return { depends: parsed.requires.map(rpmRelation), provides: parsed.provides.map(rpmRelation) };
    case "dsc":
    case "changes":
    case "file":
      return NONE;
    default:
      return parsed satisfies never;
  }
}

/** Of a row of a tree, read from its own index text. */
export function relationsOfEntry({ key, chunks }: Entry): Relations {
  const { [PACKAGES]: stanza, [SOURCES]: source, primary } = chunks;
  const control = stanza ?? source;
  if (control) return relationsOfControl(parseParagraph(control.toString("utf8")));
  if (!primary) return NONE;
  const format = readXml(primary, decodeURIComponent(key)).first("format");
  const of = (kind: string) =>
    (format?.first(kind)?.all("entry") ?? []).map(({ attributes }) => attributesRelation(attributes));
  return { depends: of("requires"), provides: of("provides") };
}

function relationsOfControl(control: Parameters<typeof fieldOf>[0]): Relations {
  const of = (...names: readonly string[]) =>
    names
      .flatMap((name) => fieldOf(control, name)?.split(",") ?? [])
      .map((one) => one.trim())
      .filter((one) => one !== "");
  return { depends: of("Pre-Depends", "Depends"), provides: of("Provides") };
}

type RpmRelation = {
  readonly name: string;
  readonly flags?: string | undefined;
  readonly epoch?: string | undefined;
  readonly version?: string | undefined;
  readonly release?: string | undefined;
};

function attributesRelation({ name = "", flags, epoch, ver, rel }: XmlElement["attributes"]): string {
  return rpmRelation({ name, flags, epoch, version: ver, release: rel });
}

const SIGNS: Readonly<Record<string, string>> = { EQ: "=", LT: "<", LE: "<=", GT: ">", GE: ">=" };

/** An epoch of 0 is the same as none, and not told. */
function rpmRelation({ name, flags, epoch, version, release }: RpmRelation): string {
  if (!flags) return name;
  const evr = `${epoch && epoch !== "0" ? `${epoch}:` : ""}${version ?? ""}${release ? `-${release}` : ""}`;
  return `${name} ${SIGNS[flags] ?? flags} ${evr}`;
}
