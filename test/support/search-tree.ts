import { type Sha256, sha256Of } from "../../shared/blob.ts";
import type { Context } from "../../shared/context.ts";
import type { Item } from "../../shared/store/dynamo.ts";
import { keys } from "../../shared/store/keys.ts";
import { memoryContext } from "./memory-context.ts";
import { sortedTable } from "./sorted-table.ts";

export type Laid = {
  readonly segments: readonly string[];
  readonly sha256: Sha256;
  readonly version: string;
  readonly format: "deb" | "rpm";
  readonly signed: boolean;
};

const AT = "2026-11-21T11:00:00.000Z";

/** A context whose table holds these binaries, the levels above them, their hints and their packages; and empty levels. */
export function searchTree(laid: readonly Laid[], empty: readonly (readonly string[])[] = []): Context {
  const ctx = memoryContext();
  return { ...ctx, table: { ...ctx.table, ...sortedTable(itemsOf(laid, empty)) } };
}

function* itemsOf(laid: readonly Laid[], empty: readonly (readonly string[])[]): Generator<Item> {
  for (const level of empty) yield* levelsOf([...level, ""]);
  for (const { segments, sha256, version, format, signed } of laid) {
    yield* levelsOf(segments);
    const path = segments.join("/");
    const told = { sha256, sizeBytes: 7, signed, format };
    const stored = { ...told, job: "job", replace: false, settled: true, at: AT };
    yield { ...keys.node(segments), kind: "binary", revision: 1, updatedAt: AT, stored };
    yield { ...keys.binaryHint("sha256", sha256, path), job: "job", at: AT };
    const pkg = { name: "x", version, architecture: "x", filename: "x", heldBy: path, createdAt: AT };
    yield { ...keys.package(sha256), ...told, ...pkg };
  }
}

function* levelsOf(segments: readonly string[]): Generator<Item> {
  for (let depth = 1; depth < segments.length; depth += 1) {
    yield { ...keys.node(segments.slice(0, depth)), kind: "level", updatedAt: AT };
  }
}

/** 100,000 binaries of `names` names, each for 2 releases of 2 distributions and 5 architectures. */
export function hundredThousand(names: number): Laid[] {
  const laid: Laid[] = [];
  const each = 100_000 / names / 20;
  for (let number = 0; number < names; number += 1) {
    const name = `package-${String(number).padStart(6, "0")}`;
    for (const [distribution, releases] of [
      ["debian", ["bookworm", "trixie"]],
      ["fedora", ["41", "42"]],
    ] as const) {
      for (const release of releases) {
        for (const arch of ["amd64", "arm64", "armhf", "i386", "s390x"]) {
          for (let version = 1; version <= each; version += 1) {
            const segments = [name, distribution, release, arch, `${name}_${version}_${arch}.deb`];
            const sha256 = sha256Of(`${name} ${version} ${arch}`);
            laid.push({ segments, sha256, version: `${version}`, format: "deb", signed: version % 2 === 0 });
          }
        }
      }
    }
  }
  return laid;
}
