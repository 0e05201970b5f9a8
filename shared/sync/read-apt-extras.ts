import pMap from "p-map";
import type { ParsedRelease, ReleaseFile } from "../apt/release.ts";
import { faultOfPath } from "../dir/upstream-path.ts";
import { AppError } from "../error.ts";
import type { CarriedFile } from "../tree/carried.ts";
import { ALL, SOURCE } from "../tree/layout.ts";
import type { Series, SeriesPlan } from "./read-apt-release.ts";
import { isAbsent, type Site, urlOf } from "./site.ts";
import { type Offered, takeFile } from "./take.ts";

const PARALLEL = 4;
/** Debian's largest, of icons, has some 30 MB. */
const MOST_EXTRA_BYTES = 1024 * 1024 * 1024;
const MOST_EXTRAS = 10_000;

/** Whether a path of the Release is one of a kind, in the components and architectures that were chosen. */
type Kind = (path: string, chosen: Chosen) => boolean;
type Chosen = { readonly components: ReadonlySet<string>; readonly architectures: ReadonlySet<string> };

const PACKED = "(?:\\.(?:gz|xz|zst|bz2|lzma))?$";
const PACKED_NAME = new RegExp(PACKED);
const CONTENTS = new RegExp(`^(?:(.+)/)?Contents-([^/.]+)${PACKED}`);
const TRANSLATION = new RegExp(`^(?:(.+)/)?i18n/Translation-[^/.]+${PACKED}`);
const DEP11 = /^(?:(.+)\/)?dep11\/([^/]+)$/;
const OF_ARCHITECTURE = new RegExp(`^Components-([^/.]+)\\.yml${PACKED}`);

const KINDS: Readonly<Record<string, Kind>> = {
  translations(path, { components }) {
    const found = TRANSLATION.exec(path);
    return found !== null && components.has(found[1] ?? "");
  },
  /** Beside the components where one file serves all of them. */
  contents(path, { components, architectures }) {
    const [, component, architecture] = CONTENTS.exec(path) ?? [];
    if (architecture === undefined || !architectures.has(architecture)) return false;
    return component === undefined || components.has(component);
  },
  dep11(path, { components, architectures }) {
    const [, component = "", name] = DEP11.exec(path) ?? [];
    if (name === undefined || !components.has(component)) return false;
    const architecture = OF_ARCHITECTURE.exec(name)?.[1];
    return architecture === undefined || architectures.has(architecture);
  },
};

/** What a Release lists beside packages and was asked for, in every compression that is there: in our store, as it is. */
export async function carriedIn(site: Site, series: readonly Series[]): Promise<CarriedFile[]> {
  const kinds = site.upstream.extras.flatMap((extra) => KINDS[extra] ?? []);
  if (kinds.length === 0) return [];
  const carried = new Map<string, CarriedFile>();
  for (const one of series) {
    const plan = await one.plan();
    const chosen = chosenOf(site, plan);
    const files = plan.release.files.filter(({ path }) => kinds.some((kind) => kind(path, chosen)));
    if (files.length > MOST_EXTRAS) {
      throw new AppError("unprocessable", `${one.url}: it lists ${files.length} extras; ${MOST_EXTRAS} are taken`);
    }
    const taken = await pMap(files, (file) => takeExtra(site, one, plan, file), { concurrency: PARALLEL });
    for (const file of taken) if (file) carried.set(`${file.suite}\n${file.path}`, file);
  }
  return [...carried.values()];
}

function chosenOf({ upstream }: Site, { indexes, release }: SeriesPlan): Chosen {
  const components = new Set(indexes.map(({ component }) => component));
  // The index of a flat repository is of none in particular.
  const all = upstream.architectures ?? release.architectures;
  const architectures = new Set(indexes.flatMap(({ architecture }) => architecture ?? all));
  // What is of all is in the other indexes, or was asked for with them.
  if ([...architectures].some((one) => one !== SOURCE)) architectures.add(ALL);
  return { components, architectures };
}

/** What the Release tells of the file unpacked: apt asks for no packed one without. */
function openOf(release: ParsedRelease, path: string): Pick<CarriedFile, "openSha256" | "openSizeBytes"> {
  const open = path.replace(PACKED_NAME, "");
  const listed = open === path ? undefined : release.files.find((file) => file.path === open);
  return listed ? { openSha256: listed.sha256, openSizeBytes: listed.sizeBytes } : {};
}

/** Undefined where it is listed and not there: Debian's own Release lists unpacked files that are nowhere. */
async function takeExtra(
  site: Site,
  series: Series,
  { release, suite }: SeriesPlan,
  { path, sizeBytes, sha256 }: ReleaseFile,
): Promise<CarriedFile | undefined> {
  const fault = faultOfPath(path);
  if (fault !== undefined) {
    throw new AppError("unprocessable", `${series.url}: the path ${JSON.stringify(path)} is refused: ${fault}`);
  }
  if (sizeBytes > MOST_EXTRA_BYTES) {
    throw new AppError("unprocessable", `${series.url}: ${path} has ${sizeBytes} bytes; ${MOST_EXTRA_BYTES} are taken`);
  }
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  const places = [...(release.acquireByHash ? [`${folder}by-hash/SHA256/${sha256}`] : []), path];
  for (const place of places) {
    const url = urlOf(site, `${series.folder}${place}`);
    const file: Offered = { url, sizeBytes, checksum: { algorithm: "sha256", value: sha256 } };
    try {
      await takeFile(site.ctx, site.address, file);
      return { suite, path, sha256, sizeBytes, ...openOf(release, path) };
    } catch (error) {
      if (!isAbsent(error)) throw error;
    }
  }
  return undefined;
}
