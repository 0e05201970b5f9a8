import type { Holder } from "../../../shared/repo/holders.ts";
import type { RepoType } from "../../../shared/store/keys.ts";
import { describeRow, fullVersion, type PackageRow, SOURCE } from "../../../shared/tree/layout.ts";

export type Commands = { readonly type: RepoType; readonly repo: string; readonly lines: readonly string[] };

/** What needs no quotes in a shell, and is no option. */
const PLAIN = /^[A-Za-z0-9][A-Za-z0-9._+~:^=@/-]*$/;

/** The lines for a shell that install a package from a repo that holds it. */
export function commandsFor(publicUrl: string, { chain, row }: Pick<Holder, "chain" | "row">): Commands {
  const { type, name: repo } = chain;
  const described = describeRow(type, row);
  const root = `${publicUrl}/${type}/${repo}`;
  switch (type) {
    case "apt":
      return { type, repo, lines: aptLines(root, repo, described) };
    case "yum":
      return { type, repo, lines: yumLines(root, repo, described) };
    case "dir": {
      const path = typeof described.place === "string" ? described.place : described.filename;
      return { type, repo, lines: [`curl -fLO ${root}/${path.split("/").map(quotedSegment).join("/")}`] };
    }
    default:
      return type satisfies never;
  }
}

function aptLines(root: string, repo: string, { name, version, architecture, place }: PackageRow): string[] {
  const isSource = architecture === SOURCE;
  const list = `/etc/apt/sources.list.d/${repo}`;
  const key = `/etc/apt/keyrings/${repo}.asc`;
  const { suite, component } = typeof place === "object" ? place : { suite: "", component: "" };
  // Key and place are told apart: packhouse.sources names the repo's own suite alone.
  const setUp =
    PLAIN.test(suite) && PLAIN.test(component)
      ? [
          "sudo install -d /etc/apt/keyrings",
          `sudo curl -fsSL -o ${key} ${root}/key.asc`,
          `echo '${isSource ? "deb-src" : "deb"} [signed-by=${key}] ${root} ${suite} ${component}' | sudo tee ${list}.list`,
        ]
      : [`sudo curl -fsSL -o ${list}.sources ${root}/packhouse.sources`];
  const what = `${name}=${version}`;
  const install = isSource ? `apt-get source ${what}` : `sudo apt-get install ${what}`;
  return [...setUp, "sudo apt-get update", ...(PLAIN.test(what) ? [install] : [])];
}

function yumLines(root: string, repo: string, row: PackageRow): string[] {
  const what = `${row.name}-${fullVersion(row)}`;
  return [
    `sudo curl -fsSL -o /etc/yum.repos.d/${repo}.repo ${root}/packhouse.repo`,
    ...(PLAIN.test(what) ? [`sudo dnf install ${what}`] : []),
  ];
}

/** Encoded as `encodeURIComponent` leaves it but for what a shell reads as something else. */
function quotedSegment(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}
