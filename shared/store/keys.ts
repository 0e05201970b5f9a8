/**
 * Every key of the one table is made here.
 *
 * | who asks                                   | pk                          | sk                    | read by        |
 * | ------------------------------------------ | --------------------------- | --------------------- | -------------- |
 * | a repo (or upstream) by type and name      | `repo#TYPE#NAME`            | `repo`                | get            |
 * | its publication state                      | `repo#TYPE#NAME`            | `published`           | get            |
 * | the repos by name                          | `repos`                     | `NAME#TYPE`           | query, pages   |
 * | the upstreams by name                      | `upstreams`                 | `NAME#TYPE`           | query, pages   |
 * | what a sync found, and which batches are copied | `sync#JOB`             | `plan`, `batch#HASH`  | get; query     |
 * | what files without a SHA-256 in their index turned out to be | `learned#UPSTREAM ID` | hash of what names them | query; put |
 * | the xz block of a run of index fragments   | `xz#SHA-256 OF THEIR NAMES` | `xz`                  | get            |
 * | repos whose patterns may take a package, or once took it | `accepts#FIRST SEGMENT`     | `TYPE#NAME`           | query, pages   |
 * | who follows a repo                         | `followers#TYPE#NAME`       | the follower's name   | query, pages   |
 * | the head and history of a repo             | `commits#REPO ID`           | number, 12 digits     | query, newest first |
 * | what was published of a commit             | `publications#REPO ID`      | number, 12 digits     | get; query, newest first |
 * | the signing keys of a repo                 | `keys#REPO ID`              | time made             | query          |
 * | a package by its hash, and all of them     | `packages#FIRST 2 DIGITS`   | SHA-256               | get; 256 queries |
 * | what lies below a level of the discovery tree | `level#PATH`             | next segment          | query, pages   |
 * | one level or binary of it                  | `level#PATH OF ITS PARENT`  | its name              | get            |
 * | binaries by the hash, the builder or the ref of their bytes | `binaries#FIELD#VALUE` | PATH | query, pages |
 * | which .dsc and .changes of a release wait for a file | `waits#PATH OF THE RELEASE` | FILE/ARCHITECTURE/NAME | query by file |
 * | how far the hash of a large upload is      | `upload#ID`                 | `hash`                | get            |
 * | whether a blob is a package map that we wrote | `map#SHA-256`            | `map`                 | get            |
 * | a job                                      | `job#ID`                    | `job`                 | get            |
 * | a token by its hash                        | `token#SHA-256`             | `token`               | get            |
 */
import { type Sha256, sha256Of } from "../blob.ts";

export type ItemKey = { readonly pk: string; readonly sk: string };

export type RepoType = "apt" | "yum" | "dir";

/** By what binaries are found beside their path. */
export type HintField = "sha256" | "built_by" | "ref";

const DIGITS = 12;
const RELEASE_DEPTH = 3;

export function paddedNumber(number: number): string {
  return String(number).padStart(DIGITS, "0");
}

export const keys = {
  repo: (type: RepoType, name: string): ItemKey => ({ pk: `repo#${type}#${name}`, sk: "repo" }),
  published: (type: RepoType, name: string): ItemKey => ({ pk: `repo#${type}#${name}`, sk: "published" }),
  repoListing: (type: RepoType, name: string): ItemKey => ({ pk: "repos", sk: `${name}#${type}` }),
  upstreamListing: (type: RepoType, name: string): ItemKey => ({ pk: "upstreams", sk: `${name}#${type}` }),
  syncPlan: (job: string): ItemKey => ({ pk: `sync#${job}`, sk: "plan" }),
  /** By the blob that lists it: a plan made anew counts only what it lists itself. */
  syncBatch: (job: string, list: Sha256): ItemKey => ({ pk: `sync#${job}`, sk: `batch#${list}` }),
  learned: (upstreamId: string, name: Sha256): ItemKey => ({ pk: `learned#${upstreamId}`, sk: name }),
  xzBlock: (run: Sha256): ItemKey => ({ pk: `xz#${run}`, sk: "xz" }),
  accepts: (firstSegment: string, type: RepoType, name: string): ItemKey => ({
    pk: `accepts#${firstSegment}`,
    sk: `${type}#${name}`,
  }),
  follower: (type: RepoType, source: string, follower: string): ItemKey => ({
    pk: `followers#${type}#${source}`,
    sk: follower,
  }),
  commit: (repoId: string, number: number): ItemKey => ({ pk: `commits#${repoId}`, sk: paddedNumber(number) }),
  publication: (repoId: string, commit: number): ItemKey => ({
    pk: `publications#${repoId}`,
    sk: paddedNumber(commit),
  }),
  signingKey: (repoId: string, madeAt: string): ItemKey => ({ pk: `keys#${repoId}`, sk: madeAt }),
  package: (sha256: Sha256): ItemKey => ({ pk: `packages#${sha256.slice(0, 2)}`, sk: sha256 }),
  /** A level or a binary of the discovery tree; `segments` is its whole path. */
  node: (segments: readonly string[]): ItemKey => ({
    pk: `level#${segments.slice(0, -1).join("/")}`,
    sk: segments.at(-1) ?? "",
  }),
  /** By what is told of a stored binary; a hint, which its leaf confirms. */
  binaryHint: (field: HintField, value: string, path: string): ItemKey => ({
    pk: partitions.binaryHints(field, value),
    sk: path,
  }),
  /** `owner` is the path of the .dsc or .changes that waits for the file. */
  wait: (owner: readonly string[], file: string): ItemKey => ({
    pk: partitions.waits(owner),
    sk: [file, ...owner.slice(RELEASE_DEPTH)].join("/"),
  }),
  uploadHash: (uploadId: string): ItemKey => ({ pk: `upload#${uploadId}`, sk: "hash" }),
  /** Only such a blob, and a file that was uploaded, may be read back as a map. */
  packageMap: (sha256: Sha256): ItemKey => ({ pk: `map#${sha256}`, sk: "map" }),
  job: (id: string): ItemKey => ({ pk: `job#${id}`, sk: "job" }),
  token: (hash: Sha256): ItemKey => ({ pk: `token#${hash}`, sk: "token" }),
} as const;

/** Partitions that are read as a list. */
export const partitions = {
  repos: "repos",
  upstreams: "upstreams",
  sync: (job: string) => `sync#${job}`,
  learned: (upstreamId: string) => `learned#${upstreamId}`,
  accepts: (firstSegment: string) => `accepts#${firstSegment}`,
  followers: (type: RepoType, source: string) => `followers#${type}#${source}`,
  commits: (repoId: string) => `commits#${repoId}`,
  publications: (repoId: string) => `publications#${repoId}`,
  signingKeys: (repoId: string) => `keys#${repoId}`,
  /** By the first two digits of the hash. */
  packages: (prefix: string) => `packages#${prefix}`,
  level: (segments: readonly string[]) => `level#${segments.join("/")}`,
  /** Of the release that a path lies in. */
  waits: (segments: readonly string[]) => `waits#${segments.slice(0, RELEASE_DEPTH).join("/")}`,
  /** A value may be any text, and longer than a key: so its hash stands for it. */
  binaryHints: (field: HintField, value: string) => `binaries#${field}#${field === "sha256" ? value : sha256Of(value)}`,
} as const;
