import { execFileSync } from "node:child_process";
import { globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

export type SpecFile = {
  name: string;
  /** Of the spec: everything but the name, in whole lines. */
  preamble?: string | Uint8Array;
  description?: string;
  install?: string;
  files?: string;
  rest?: string | Uint8Array;
  /** `-bb` builds the binary package, `-bs` the source package. */
  build?: "-bb" | "-bs";
  target?: string;
  defines?: Record<string, string>;
  /** Files beside the spec, for `Source:`. */
  sources?: Record<string, string>;
};

/** Builds the package with rpmbuild; answers its path. */
export function rpmbuild(folder: string, spec: SpecFile): string {
  const { name, build = "-bb", target = "noarch" } = spec;
  const top = join(folder, `${name}-${build.slice(1)}`);
  mkdirSync(join(top, "SOURCES"), { recursive: true });
  for (const [file, content] of Object.entries(spec.sources ?? {})) writeFileSync(join(top, "SOURCES", file), content);
  const specPath = join(top, `${name}.spec`);
  writeFileSync(specPath, specText(spec));
  const defines = {
    _topdir: top,
    _buildhost: "builder.example",
    _invalid_encoding_terminates_build: "0",
    debug_package: "%{nil}",
    ...spec.defines,
  };
  execFileSync(
    "rpmbuild",
    [
      build,
      "--nodeps",
      "--target",
      target,
      ...Object.entries(defines).flatMap(([key, value]) => ["--define", `${key} ${value}`]),
      specPath,
    ],
    { env: { ...process.env, LC_ALL: "C.UTF-8", HOME: folder }, stdio: ["ignore", "ignore", "pipe"] },
  );
  const [built] = globSync(join(top, build === "-bs" ? "SRPMS/*.rpm" : "RPMS/*/*.rpm"));
  if (built === undefined) throw new Error(`rpmbuild built nothing from ${name}`);
  return built;
}

/** The files by name, with their bytes. */
export function readAll(paths: readonly string[]): Record<string, Buffer> {
  return Object.fromEntries(paths.map((path) => [basename(path), readFileSync(path)]));
}

function specText({ name, preamble = "", description = name, install = "", files, rest = "" }: SpecFile): Buffer {
  const defaults = { Version: "1.0", Release: "1", Summary: `The ${name} package`, License: "MIT" };
  const given = Buffer.from(preamble as string).toString("latin1");
  const missing = Object.entries(defaults)
    .filter(([key]) => !new RegExp(`^${key}:`, "m").test(given))
    .map(([key, value]) => `${key}: ${value}\n`);
  return Buffer.concat([
    Buffer.from(`Name: ${name}\n${missing.join("")}`),
    Buffer.from(preamble as string),
    Buffer.from(`\n%description\n${description}\n\n%install\n${install}\n`),
    Buffer.from(files === undefined ? "" : `\n%files\n${files}\n`),
    Buffer.from(rest as string),
  ]);
}
