import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

/** A file of the project, its path from the root. */
export type Source = { path: string; text: string };
export type Import = { from: string; specifier: string; typeOnly: boolean };

export const root = join(import.meta.dirname, "../..");

export function sourcesOf(folders: readonly string[]): Source[] {
  const there = folders.filter((folder) => existsSync(join(root, folder)));
  return there.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.(ts|mjs)$/.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => ({ path: relative(root, path), text: readFileSync(path, "utf8") })),
  );
}

/** Import and export-from begin a line and quote with `"` (Biome sees to it); `import(…)` may stand anywhere, in types too. */
const STATIC = /^(?:import|export)\s+(type\s+)?(?:[^"';]*?\sfrom\s+)?"([^"]+)"/gm;
const DYNAMIC = /\bimport\(\s*["'`]([^"'`]+)["'`]/g;

export function importsOf(source: Source): Import[] {
  const found = [
    ...[...source.text.matchAll(STATIC)].map((match) => ({ specifier: match[2] ?? "", typeOnly: Boolean(match[1]) })),
    ...[...source.text.matchAll(DYNAMIC)].map((match) => ({ specifier: match[1] ?? "", typeOnly: false })),
  ];
  return found.map((one) => ({ ...one, from: source.path }));
}

/** The file that a relative import names, from the root; undefined for a package. */
export function targetOf(one: Import): string | undefined {
  return one.specifier.startsWith(".") ? join(dirname(one.from), one.specifier) : undefined;
}

/** The package of a bare import: `@scope/name` or `name`; undefined for a file and for node's own. */
export function packageOf(one: Import): string | undefined {
  if (one.specifier.startsWith(".") || one.specifier.startsWith("node:")) return undefined;
  const parts = one.specifier.split("/");
  return parts.slice(0, one.specifier.startsWith("@") ? 2 : 1).join("/");
}

/** One cycle of the graph as the way round it, or undefined. */
export function cycleIn(edges: ReadonlyMap<string, ReadonlySet<string>>): string[] | undefined {
  const done = new Set<string>();
  const walk = (node: string, way: readonly string[]): string[] | undefined => {
    if (way.includes(node)) return [...way.slice(way.indexOf(node)), node];
    if (done.has(node)) return undefined;
    for (const next of edges.get(node) ?? []) {
      const found = walk(next, [...way, node]);
      if (found) return found;
    }
    done.add(node);
    return undefined;
  };
  for (const node of edges.keys()) {
    const found = walk(node, []);
    if (found) return found;
  }
  return undefined;
}

export function graphOf(imports: readonly Import[], nodeOf: (path: string) => string): Map<string, Set<string>> {
  const edges = new Map<string, Set<string>>();
  for (const one of imports) {
    const target = targetOf(one);
    if (target === undefined) continue;
    const [from, to] = [nodeOf(one.from), nodeOf(target)];
    if (from !== to || one.from === target) edges.set(from, (edges.get(from) ?? new Set()).add(to));
  }
  return edges;
}
