import { fieldOf } from "../apt/control.ts";
import { type PlannedIndex, planIndexes } from "../apt/index-plan.ts";
import { type ParsedRelease, parseRelease } from "../apt/release.ts";
import { type Sha256, sha256Of } from "../blob.ts";
import { faultOfPath } from "../dir/upstream-path.ts";
import { AppError } from "../error.ts";
import { DIST_NAME } from "../repo/accepts.ts";
import { cleartextOf, verifyCleartext } from "../signing/verify.ts";
import { UpstreamError } from "../upstream/fetch-error.ts";
import {
  checkDetached,
  hasMoved,
  isAbsent,
  named,
  type Pointer,
  pointerAt,
  type Site,
  type State,
  unless404,
  urlOf,
} from "./site.ts";

/** What a series lists, and how we call it. */
export type SeriesPlan = {
  readonly release: ParsedRelease;
  readonly suite: string;
  readonly indexes: readonly PlannedIndex[];
};

/** One Release of an apt upstream. */
export type Series = Pointer & {
  readonly name: string;
  readonly flat: boolean;
  /** The folder of its Release, relative to the upstream; ends in a slash where it is not empty. */
  readonly folder: string;
  /** Read once, and only where something changed. */
  readonly plan: () => Promise<SeriesPlan>;
};

/**
 * InRelease, or Release with its signature beside it where there is none; verified where a key is given.
 * @throws AppError `unprocessable` for a series that can not be one
 */
export async function readRelease(site: Site, name: string, before: State | undefined): Promise<Series> {
  const flat = isFlat(name);
  if (!flat && !DIST_NAME.test(name)) {
    const rule = `${DIST_NAME.source}, or a path with a slash at its end where the repository is flat`;
    throw new AppError("unprocessable", `series ${JSON.stringify(name)} should match ${rule}`);
  }
  const folder = flat ? flatFolder(name) : `dists/${name}/`;
  const inline = urlOf(site, `${folder}InRelease`);
  const signed = await unless404(() =>
    pointerAt(site, inline, before, (bytes, url) => named(url, () => signedText(site, bytes))),
  );
  const pointer = signed === "absent" ? await detachedPointer(site, urlOf(site, `${folder}Release`), before) : signed;
  let planned: Promise<SeriesPlan> | undefined;
  const plan = () => {
    planned ??= named(pointer.url, async () => planOf(site, { name, flat }, parseRelease(await pointer.text())));
    return planned;
  };
  return { ...pointer, name, flat, folder, plan };
}

function planOf({ upstream }: Site, { name, flat }: Pick<Series, "name" | "flat">, release: ParsedRelease): SeriesPlan {
  const { components, architectures } = upstream;
  const indexes = planIndexes(release, {
    flat,
    ...(components ? { components } : {}),
    ...(architectures ? { architectures } : {}),
  });
  return { release, suite: flat ? flatSuite(release) : name, indexes };
}

function isFlat(name: string): boolean {
  return name === "." || name.startsWith("./") || name.endsWith("/");
}

/** A series is written as in sources.list(5): a suite, or a path that ends in a slash. */
function flatFolder(name: string): string {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  const folder = parts.join("/");
  const fault = folder === "" ? undefined : faultOfPath(folder);
  if (fault !== undefined) throw new AppError("unprocessable", `series ${JSON.stringify(name)} is no path: ${fault}`);
  return folder === "" ? "" : `${folder}/`;
}

/** A flat repository names no suite in its paths: its Release does, or it is called stable. */
function flatSuite(release: ParsedRelease): string {
  const told = fieldOf(release.fields, "Suite") ?? fieldOf(release.fields, "Codename") ?? "";
  return DIST_NAME.test(told) ? told : "stable";
}

function signedText({ upstream }: Site, bytes: Uint8Array): Promise<string> {
  const signed = Buffer.from(bytes).toString("utf8");
  return upstream.key === undefined ? cleartextOf(signed) : verifyCleartext(signed, upstream.key);
}

const MOST_READINGS = 3;

/** Release and its signature are two files: where the first was replaced before the second was read, both are read again. */
async function detachedPointer(site: Site, url: string, before: State | undefined): Promise<Pointer> {
  for (let reading = 1; ; reading += 1) {
    let seen: Sha256 | undefined;
    try {
      return await pointerAt(site, url, before, (bytes, at) => {
        seen = sha256Of(bytes);
        return named(at, () => detachedText(site, bytes, at));
      });
    } catch (error) {
      if (seen === undefined && isAbsent(error)) throw withoutRelease(error, url);
      if (seen === undefined || !(error instanceof AppError) || reading === MOST_READINGS) throw error;
      if (!(await hasMoved(site, { releases: [{ url, sha256: seen }] }))) throw error;
    }
  }
}

function withoutRelease(error: unknown, url: string): unknown {
  if (!(error instanceof UpstreamError)) return error;
  const { status } = error;
  const expected = "an InRelease or Release there, which names the indexes by their SHA-256";
  return new UpstreamError("status", { url, expected, got: `${status}`, status });
}

async function detachedText(site: Site, bytes: Uint8Array, url: string): Promise<string> {
  await checkDetached(site, bytes, `${url}.gpg`);
  return Buffer.from(bytes).toString("utf8");
}
