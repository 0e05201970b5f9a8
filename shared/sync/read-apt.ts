import type { PlannedIndex } from "../apt/index-plan.ts";
import { AppError } from "../error.ts";
import { ALL, SOURCE } from "../tree/layout.ts";
import type { Found, UpstreamRead } from "./found.ts";
import { globsOf } from "./globs.ts";
import { binaryOf, sourceOf } from "./read-apt-entry.ts";
import { carriedIn } from "./read-apt-extras.ts";
import { stanzasIn } from "./read-apt-index.ts";
import { readRelease, type Series } from "./read-apt-release.ts";
import type { Site, State } from "./site.ts";

/**
 * Everything an apt upstream lists in the series asked for: each Release verified where a key is given, each index against the
 * Release that names it. "unchanged" when no Release changed since the last commit: then one request a series was made.
 */
export async function readApt(site: Site, before: State | undefined): Promise<UpstreamRead | "unchanged"> {
  const { upstream } = site;
  if (upstream.series === undefined) {
    throw new AppError(
      "unprocessable",
      'an apt upstream needs `series`, such as ["bookworm"], or ["./"] where it is flat',
    );
  }
  const series: Series[] = [];
  for (const name of upstream.series) series.push(await readRelease(site, name, before));
  if (before && series.every((one) => one.isOld)) return "unchanged";
  return { found: foundIn(site, series), carried: () => carriedIn(site, series), pointers: series };
}

async function* foundIn(site: Site, series: readonly Series[]): AsyncGenerator<Found> {
  for (const one of series) {
    const { suite, indexes } = await one.plan();
    for (const index of indexes) {
      // An index of a flat repository lies in no component.
      const place = { suite, component: index.component === "" ? "main" : index.component };
      yield* foundInIndex(site, one, index, place);
    }
  }
}

async function* foundInIndex(
  site: Site,
  series: Series,
  index: PlannedIndex,
  place: { suite: string; component: string },
): AsyncGenerator<Found> {
  const { include, exclude } = site.upstream;
  const wanted = globsOf(include, exclude);
  const takes = index.architecture === undefined ? architecturesOf(site) : () => true;
  const entriesOf = index.index === "Sources" ? sourceOf : binaryOf;
  for await (const stanza of stanzasIn(site, series, index)) {
    if (wanted(stanza.name) && takes(stanza.architecture)) yield* entriesOf(site, place, stanza);
  }
}

/** The one index of a flat repository has packages of any architecture. */
function architecturesOf({ upstream: { architectures } }: Site): (architecture: string) => boolean {
  if (architectures === undefined) return () => true;
  const taken = new Set(architectures);
  if (architectures.some((one) => one !== SOURCE)) taken.add(ALL);
  return (architecture) => taken.has(architecture);
}
