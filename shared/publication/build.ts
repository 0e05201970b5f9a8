import { type Sha256, sha256Of } from "../blob.ts";
import type { Commit } from "../commit.ts";
import type { Context } from "../context.ts";
import type { SigningKeyring } from "../repo/keyring.ts";
import type { Repo } from "../repo/repo.ts";
import type { Tree } from "../tree/root.ts";
import type { IndexRecord, Manifest, StoredFile } from "./manifest.ts";
import type { Underway } from "./underway.ts";

/** A file that clients read without a hash in its path. `inputs` says what it was made from, but for times. */
export type PublishedFile = {
  readonly path: string;
  readonly inputs: Sha256;
  readonly bytes: () => Promise<Uint8Array>;
};

/** What a format makes of a commit. `files` in the order of writing: what names others comes behind them. */
export type Build = {
  readonly files: readonly PublishedFile[];
  readonly indexes: Readonly<Record<string, IndexRecord>>;
  /** What is published beside the packages, by path. */
  readonly carried: Readonly<Record<string, StoredFile>>;
};

/** What a publication is built with. */
export type BuildContext = Pick<Context, "objects" | "table">;

export type BuildInput = {
  readonly repo: Repo;
  readonly commit: Commit;
  readonly tree: Tree;
  readonly date: Date;
  readonly keyring: SigningKeyring;
  /** The address the repo is read at, without a slash at its end. */
  readonly url: string;
  readonly before: Manifest | undefined;
  /** The tree that `before` was made of; asked for only where it spares reads. */
  readonly treeBefore: () => Promise<Tree | undefined>;
  /** Has the indexes that are not stored yet when they are told. */
  readonly underway: Underway;
};

/** A file made from these inputs; its bytes are asked for only where the inputs are new. */
export function fileFrom(
  path: string,
  inputs: unknown,
  bytes: () => Promise<Uint8Array | string> | Uint8Array | string,
): PublishedFile {
  return { path, inputs: sha256Of(JSON.stringify(inputs)), bytes: async () => Buffer.from(await bytes()) };
}
