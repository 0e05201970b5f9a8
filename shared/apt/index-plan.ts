import type { Sha256 } from "../blob.ts";
import type { StreamCompression } from "../decompress-stream.ts";
import { faultOfPath } from "../dir/upstream-path.ts";
import { AppError } from "../error.ts";
import { fieldOf } from "./control.ts";
import type { AptIndex } from "./index-packages.ts";
import type { ParsedRelease, ReleaseFile } from "./release.ts";

/** One file that gives the index, as the Release file lists it. */
export type IndexCandidate = ReleaseFile & {
  compression: StreamCompression;
  /** Where it lies under its hash, and stays when a newer one comes; only where the Release says so. */
  byHashPath?: string;
};

export type PlannedIndex = {
  index: AptIndex;
  /** The folder in which the component's indexes lie, so what an apt user names; empty for a flat repository. */
  component: string;
  /** `source` for `Sources`; undefined for a flat repository, whose one index holds packages of any. */
  architecture: string | undefined;
  /** Of the Debian installer, which apt never looks at. */
  udeb: boolean;
  /** The first that is there is to be taken. Paths are relative to the Release file. */
  candidates: readonly IndexCandidate[];
  /** The unpacked index, which is listed even where it is not stored. */
  plain?: { sizeBytes: number; sha256: Sha256 };
};

export type WantedIndexes = {
  /** What Debian calls a flat repository: its indexes lie beside the Release file. */
  flat?: boolean;
  /** Absent: all there are. */
  components?: readonly string[];
  /** Absent: all there are; `source` is the same as `source: true`. */
  architectures?: readonly string[];
  source?: boolean;
  udebs?: boolean;
};

// What is unpacked fastest first: zst and gz natively, beside the parsing. Debian's main in xz is 2.7 MB smaller than in
// gz, and takes our decoder a second of the main thread: it would win below some 3 MB/s alone.
const ORDER: readonly StreamCompression[] = ["zst", "gz", "xz", "bz2", "plain"];

// COMPONENT/binary-ARCH/Packages, COMPONENT/debian-installer/binary-ARCH/Packages, COMPONENT/source/Sources; a component may hold slashes.
const BINARY = /^(?:(.+)\/)?binary-([^/]+)\/Packages(?:\.(xz|zst|gz|bz2))?$/;
const SOURCE = /^(?:(.+)\/)?source\/Sources(?:\.(xz|zst|gz|bz2))?$/;
const FLAT = /^(?:\.\/)?(Packages|Sources)(?:\.(xz|zst|gz|bz2))?$/;

/**
 * Which index files to fetch. A component of the Release's own list may have a prefix that its files have not, or the
 * other way round (`updates/main` of Debian's security archive): both name it.
 * @throws AppError `unprocessable` when the Release has nothing of what was asked for, telling what it has
 */
export function planIndexes(release: ParsedRelease, wanted: WantedIndexes = {}): PlannedIndex[] {
  if (release.files.length === 0)
    throw new AppError("unprocessable", "Release: field SHA256: it lists no files; an index is fetched by its SHA-256");
  const all = indexesOf(release);
  const source = wanted.source === true || (wanted.architectures ?? release.architectures).includes("source");
  if (wanted.flat) return some(release, flatIndexes(all, source, wanted.architectures));
  const inComponents = withComponents(all, wanted.components);
  const chosen = inComponents.filter(
    (one) =>
      (!one.udeb || wanted.udebs === true) &&
      (one.index === "Sources" ? source : takesArchitecture(release, one, wanted)),
  );
  for (const architecture of wanted.architectures ?? []) {
    if (architecture === "source" ? chosen.some((one) => one.index === "Sources") : offers(inComponents, architecture))
      continue;
    const there = unique(inComponents.map((one) => one.architecture ?? ""));
    throw new AppError(
      "unprocessable",
      `Release: no index of architecture ${architecture}; there are: ${there.join(" ")}`,
    );
  }
  return some(release, chosen);
}

/** One index holds the packages of all architectures, so that one alone tells whether there are any. */
function flatIndexes(
  all: readonly PlannedIndex[],
  source: boolean,
  architectures: readonly string[] | undefined,
): PlannedIndex[] {
  const rooted = all.filter((one) => one.architecture === undefined);
  if (architectures?.includes("source") && !rooted.some((one) => one.index === "Sources"))
    throw new AppError("unprocessable", "Release: no index of architecture source; there are: Packages");
  const binary = architectures === undefined || architectures.some((one) => one !== "source");
  return rooted.filter((one) => (one.index === "Sources" ? source : binary));
}

function offers(indexes: readonly PlannedIndex[], architecture: string): boolean {
  return indexes.some((one) => one.index === "Packages" && one.architecture === architecture);
}

/**
 * `binary-all` is read beside each architecture's own index, as apt does, where the Release lists `all` and does not say
 * `No-Support-for-Architecture-all: Packages`: there every architecture's index has them too. Who asks for `all` by name gets it.
 */
function takesArchitecture(release: ParsedRelease, one: PlannedIndex, { architectures }: WantedIndexes): boolean {
  const architecture = one.architecture ?? "";
  if (architectures?.includes(architecture)) return true;
  if (architecture !== "all") return architectures === undefined;
  const without = (fieldOf(release.fields, "No-Support-for-Architecture-all") ?? "").split(/\s+/);
  const listed = release.architectures.length === 0 || release.architectures.includes("all");
  const othersWanted = architectures === undefined || architectures.some((word) => word !== "source");
  return listed && !without.includes("Packages") && othersWanted;
}

function withComponents(all: readonly PlannedIndex[], components: readonly string[] | undefined): PlannedIndex[] {
  const rooted = all.filter((one) => one.architecture !== undefined);
  if (components === undefined) return rooted;
  return components.flatMap((component) => {
    const exact = rooted.filter((one) => one.component === component);
    const found =
      exact.length > 0
        ? exact
        : rooted.filter(
            (one) =>
              one.component.endsWith(`/${component}`) || (one.component && component.endsWith(`/${one.component}`)),
          );
    if (found.length > 0) return found;
    const there = unique(rooted.map((one) => one.component));
    throw new AppError("unprocessable", `Release: no index of component ${component}; there are: ${there.join(" ")}`);
  });
}

function indexesOf(release: ParsedRelease): PlannedIndex[] {
  const found = new Map<string, PlannedIndex & { candidates: IndexCandidate[] }>();
  for (const file of release.files) {
    const named = nameOf(file.path);
    if (named === undefined) continue;
    const fault = faultOfPath(file.path);
    if (fault !== undefined)
      throw new AppError(
        "unprocessable",
        `Release: field SHA256: the path ${JSON.stringify(file.path)} is refused: ${fault}`,
      );
    const { compression, ...rest } = named;
    const key = JSON.stringify(rest);
    const one = found.get(key) ?? { ...rest, candidates: [] };
    found.set(key, one);
    if (one.candidates.some((other) => other.compression === compression)) continue;
    const folder = file.path.slice(0, file.path.lastIndexOf("/") + 1);
    const byHash = release.acquireByHash ? { byHashPath: `${folder}by-hash/SHA256/${file.sha256}` } : {};
    one.candidates.push({ ...file, compression, ...byHash });
    if (compression === "plain") one.plain = { sizeBytes: file.sizeBytes, sha256: file.sha256 };
  }
  for (const one of found.values())
    one.candidates.sort((a, b) => ORDER.indexOf(a.compression) - ORDER.indexOf(b.compression));
  return [...found.values()];
}

type Named = Pick<PlannedIndex, "index" | "component" | "architecture" | "udeb"> & { compression: StreamCompression };

function nameOf(path: string): Named | undefined {
  const flat = FLAT.exec(path);
  if (flat) {
    const index = flat[1] === "Sources" ? "Sources" : "Packages";
    return { index, component: "", architecture: undefined, udeb: false, compression: compressionOf(flat[2]) };
  }
  const source = SOURCE.exec(path);
  if (source)
    return {
      index: "Sources",
      component: source[1] ?? "",
      architecture: "source",
      udeb: false,
      compression: compressionOf(source[2]),
    };
  const [, folder = "", architecture, ending] = BINARY.exec(path) ?? [];
  if (architecture === undefined) return undefined;
  const udeb = /(?:^|\/)debian-installer$/.test(folder);
  const component = udeb ? folder.replace(/\/?debian-installer$/, "") : folder;
  return { index: "Packages", component, architecture, udeb, compression: compressionOf(ending) };
}

function compressionOf(ending: string | undefined): StreamCompression {
  return ORDER.find((kind) => kind === ending) ?? "plain";
}

function some(release: ParsedRelease, indexes: PlannedIndex[]): PlannedIndex[] {
  if (indexes.length > 0) return indexes;
  const listed = release.files.slice(0, 5).map((file) => file.path);
  throw new AppError(
    "unprocessable",
    `Release: none of its files is an index that was asked for; it lists ${listed.join(" ")} …`,
  );
}

function unique(words: readonly string[]): string[] {
  return [...new Set(words)];
}
