import { faultOfPath } from "../dir/upstream-path.ts";
import { AppError } from "../error.ts";
import type { RepoType } from "../store/keys.ts";
import { DIR_FILES, type Place } from "../tree/layout.ts";
import { COMPONENT_NAME, DIST_NAME } from "./accepts.ts";

/**
 * The places that a caller wants, as its type of repo has them; undefined where none are told. A yum repo has no places: none
 * are needed there, and an empty list, which GET gives, says so.
 */
export function placesOf(
  type: RepoType,
  sha256: string,
  places: readonly Place[] | undefined,
): readonly Place[] | undefined {
  if (places === undefined) return undefined;
  const wrong = (what: string) => new AppError("unprocessable", `places of ${sha256}: ${what}`);
  switch (type) {
    case "apt":
      if (places.length === 0) throw wrong("none are given; leave them out to keep those that it has");
      if (places.some((place) => typeof place === "string"))
        throw wrong("in an apt repo each is a suite and a component");
      return places;
    case "yum":
      if (places.length > 0) throw wrong("a yum repo has none");
      return undefined;
    case "dir":
      if (places.length === 0) throw wrong("none are given; leave them out to keep those that it has");
      if (places.some((place) => typeof place !== "string")) throw wrong("in a plain directory each is a path");
      return places;
    default:
      return type satisfies never;
  }
}

/** What a new place must be. Those that a tree has already are not asked: an upstream may have named them. */
export function checkNewPlace(place: Place): void {
  if (typeof place === "string") {
    const fault = faultOfPath(place);
    const unclean = place.split("/").some((part) => part === "" || part === ".");
    if (fault !== undefined || unclean) {
      throw new AppError("unprocessable", `the path ${JSON.stringify(place)}: ${fault ?? "it has an empty part"}`);
    }
    if (DIR_FILES.includes(place)) {
      throw new AppError("unprocessable", `${place} is the name of a file that every directory has itself`);
    }
    return;
  }
  if (!DIST_NAME.test(place.suite)) throw misnamed("suite", place.suite, DIST_NAME);
  if (!COMPONENT_NAME.test(place.component)) throw misnamed("component", place.component, COMPONENT_NAME);
}

function misnamed(what: string, name: string, rule: RegExp): AppError {
  return new AppError("unprocessable", `${what} ${JSON.stringify(name.slice(0, 100))} must match ${rule.source}`);
}

export function samePlace(a: Place, b: Place | undefined): boolean {
  if (b === undefined || typeof a === "string" || typeof b === "string") return b === undefined || a === b;
  return a.suite === b.suite && a.component === b.component;
}
