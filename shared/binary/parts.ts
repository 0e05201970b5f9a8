import type { NamedFile } from "../apt/file-lists.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import { findPackage, parsedOf } from "../package.ts";
import { type Beside, findBeside, isFile } from "./beside.ts";
import type { Binary, StoredBinary } from "./node.ts";

/** A file that a .dsc or .changes is made of, and which of the two says so. */
export type Part = NamedFile & { readonly by: string };

/** What belongs to a .dsc or .changes, as far as it is known, and where it is. */
export type Gathered = {
  /** To a .changes belongs also what the .dsc in it names, once that is here. */
  readonly parts: readonly Part[];
  readonly here: ReadonlyMap<string, Beside>;
  /** All that has one of the names, whatever its bytes. */
  readonly named: readonly Beside[];
  readonly missing: readonly string[];
  /** What is here and is not what is named: it will never be whole. */
  readonly wrong: string | undefined;
};

/** Looks for all that belongs to a .dsc or .changes, in its release. */
export async function gather(ctx: Context, segments: readonly string[], stored: StoredBinary): Promise<Gathered> {
  const name = segments.at(-1) ?? "";
  const first = await look(
    ctx,
    segments,
    (await filesOf(ctx, stored)).map((file) => ({ ...file, by: name })),
  );
  if (stored.format !== "changes" || first.wrong !== undefined) return first;
  const parts = new Map(first.parts.map((part) => [part.name, part]));
  for (const [dsc, { binary }] of first.here) {
    if (binary.stored?.format !== "dsc") continue;
    for (const file of await filesOf(ctx, binary.stored)) {
      const known = parts.get(file.name);
      if (known && (known.sha256 !== file.sha256 || known.sizeBytes !== file.sizeBytes)) {
        const wrong = `${file.name} has SHA-256 ${known.sha256} by ${known.by}, and ${file.sha256} by ${dsc}`;
        return { ...first, wrong };
      }
      if (!known) parts.set(file.name, { ...file, by: dsc });
    }
  }
  const more = [...parts.values()].slice(first.parts.length);
  if (more.length === 0) return first;
  const second = await look(ctx, segments, more);
  return {
    parts: [...parts.values()],
    here: new Map([...first.here, ...second.here]),
    named: [...first.named, ...second.named],
    missing: [...first.missing, ...second.missing],
    wrong: second.wrong,
  };
}

async function filesOf(ctx: Context, { sha256 }: StoredBinary): Promise<readonly NamedFile[]> {
  const pkg = await findPackage(ctx, sha256);
  const parsed = pkg && (await parsedOf(ctx, pkg));
  if (parsed?.format !== "dsc" && parsed?.format !== "changes") {
    throw new AppError("unprocessable", `${sha256} is neither a .dsc nor a .changes`);
  }
  return parsed.files;
}

async function look(ctx: Context, segments: readonly string[], parts: readonly Part[]): Promise<Gathered> {
  const found = await findBeside(ctx, segments, parts, isFile);
  const here = new Map<string, Beside>();
  const missing: string[] = [];
  const wrong: string[] = [];
  const now = ctx.now().toISOString();
  for (const part of parts) {
    const candidates = found.get(part.name) ?? [];
    const [best] = candidates;
    const other = candidates.find(({ binary }) => binary.stored && !isAwaited(binary, now));
    if (best && isFile(part, best.binary)) here.set(part.name, best);
    // Bytes that are on their way may be the right ones.
    else if (!other || candidates.some(({ binary }) => isAwaited(binary, now))) missing.push(part.name);
    else wrong.push(difference(part, other.binary));
  }
  return { parts, here, named: [...found.values()].flat(), missing, wrong: wrong[0] };
}

function isAwaited({ awaited }: Binary, now: string): boolean {
  return awaited !== undefined && (awaited.arrived === true || awaited.expiresAt > now);
}

function difference({ name, by, sha256, sizeBytes }: Part, { stored }: Binary): string {
  if (stored?.sha256 === sha256 && stored.sizeBytes === sizeBytes) return `${name}: ${stored.problem}`;
  if (stored?.sizeBytes !== sizeBytes) return `${name} has ${stored?.sizeBytes} bytes, ${by} says ${sizeBytes}`;
  return `${name} has SHA-256 ${stored.sha256}, ${by} says ${sha256}`;
}
