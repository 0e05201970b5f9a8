import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Run, Workbench } from "./workbench.ts";

/** An apt of its own: no file of the machine's is read but the programs. Its dpkg installs into `root`. */
export type AptClient = {
  readonly root: string;
  /** Where downloaded packages lie. */
  readonly archives: string;
  /** For APT_CONFIG. */
  readonly config: string;
  run(command: "apt-get" | "apt-cache", ...args: string[]): Promise<Run>;
  /** Fails with what apt said if it complains in any way; its exit code alone tells little. */
  update(): Promise<void>;
  tryUpdate(): Promise<Run>;
  /** `name=version` of all that apt would offer (`name:arch` of a foreign architecture), sorted: what a user sees. */
  visible(): Promise<string[]>;
  /** What `Packages` says of a version, by field. */
  show(name: string): Promise<Record<string, string>>;
};

export type AptSource = { readonly list: string } | { readonly sources: string };

const COMPLAINT = /^(?:E|W|Err|Ign)[:\d]/m;

/** `sources` goes into sources.list.d as it is, `list` too. The first architecture is the machine's own. */
export async function openApt(
  bench: Workbench,
  name: string,
  source: AptSource,
  { architectures = ["amd64"], settings = [] }: { architectures?: string[]; settings?: string[] } = {},
): Promise<AptClient> {
  const folder = join(bench.folder, name);
  const root = join(folder, "root");
  for (const path of [
    "state/lists/partial",
    "cache/archives/partial",
    "etc/preferences.d",
    "etc/trusted.gpg.d",
    "etc/apt.conf.d",
  ])
    await mkdir(join(folder, path), { recursive: true });
  for (const path of ["info", "updates", "triggers", "alternatives", "parts"])
    await mkdir(join(root, "var/lib/dpkg", path), { recursive: true });
  await bench.file(`${name}/root/var/lib/dpkg/status`, "");
  if ("list" in source) await bench.file(`${name}/etc/sources.list.d/packhouse.list`, source.list);
  else await bench.file(`${name}/etc/sources.list.d/packhouse.sources`, source.sources);
  const config = await bench.file(
    `${name}/apt.conf`,
    [
      `Dir::Etc "${folder}/etc"`,
      `Dir::Etc::parts "${folder}/etc/apt.conf.d"`,
      `Dir::Etc::main "${folder}/etc/none"`,
      `Dir::State "${folder}/state"`,
      `Dir::State::status "${root}/var/lib/dpkg/status"`,
      `Dir::Cache "${folder}/cache"`,
      `Dir::Log "${folder}"`,
      `APT::Architecture "${architectures[0]}"`,
      `APT::Architectures { ${architectures.map((one) => `"${one}"; `).join("")}}`,
      `APT::Sandbox::User "root"`,
      `Acquire::http::Proxy "DIRECT"`,
      `DPkg::Options { "--root=${root}"; "--force-architecture"; "--force-not-root"; "--no-debsig"; }`,
      ...settings,
    ]
      .map((line) => `${line};\n`)
      .join(""),
  );
  const run: AptClient["run"] = (command, ...args) => bench.run("env", [`APT_CONFIG=${config}`, command, ...args]);
  return {
    root,
    archives: join(folder, "cache/archives"),
    config,
    run,
    tryUpdate: () => run("apt-get", "update"),
    async update() {
      const { code, output } = await run("apt-get", "update");
      if (code !== 0 || COMPLAINT.test(output)) throw new Error(`apt-get update: ${code}\n${output}`);
    },
    async visible() {
      const names = (await run("apt-cache", "pkgnames")).output.split("\n").filter(Boolean);
      if (names.length === 0) return [];
      const all = names.flatMap((one) => [
        one,
        ...architectures.slice(1).map((architecture) => `${one}:${architecture}`),
      ]);
      const lines = (await run("apt-cache", "madison", ...all)).output.split("\n");
      const found = lines.map((line) => line.split("|").map((cell) => cell.trim()));
      return [...new Set(found.flatMap(([one, version]) => (version ? [`${one}=${version}`] : [])))].sort();
    },
    async show(of) {
      return fieldsOf((await run("apt-cache", "show", of)).output);
    },
  };
}

/** The fields of one paragraph; further lines of a value as they stand. */
export function fieldsOf(paragraph: string): Record<string, string> {
  const fields = paragraph.trimEnd().split(/\n(?! )/);
  return Object.fromEntries(
    fields.map((field) => [field.slice(0, field.indexOf(":")), field.slice(field.indexOf(":") + 1).trim()]),
  );
}
