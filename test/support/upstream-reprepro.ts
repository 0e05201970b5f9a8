import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { buildDeb } from "./deb-builder.ts";
import { buildSource } from "./upstream-apt-source.ts";
import { type FolderSite, serveFolder } from "./upstream-folder.ts";
import type { Workbench } from "./workbench.ts";

/** Somebody else's apt repository, made and signed by reprepro, and served over HTTP. */
export type Reprepro = FolderSite & {
  /** Armored, for those who follow it. */
  readonly key: string;
  includeDeb(control: Readonly<Record<string, string>>, files?: Readonly<Record<string, string>>): Promise<void>;
  includeSource(name: string, version: string, text?: string): Promise<void>;
  remove(name: string): Promise<void>;
  /** Keeps what is served as it is now; `mend` brings it back. */
  keep(): Promise<void>;
  mend(): Promise<void>;
  /** Signs `Release` anew, as it lies there, by its own key or another's. */
  sign(signer?: string): Promise<void>;
};

export async function openReprepro(bench: Workbench): Promise<Reprepro> {
  const run = async (command: string, ...args: string[]) => {
    const { code, output } = await bench.run(command, args);
    if (code !== 0) throw new Error(`${command} ${args.join(" ")}: ${code}\n${output}`);
    return output;
  };
  const signer = "reprepro@lab.test";
  await makeKey(bench, signer);
  const key = await run("gpg", "--batch", "--armor", "--export", signer);
  const folder = join(bench.folder, "reprepro");
  const incoming = join(bench.folder, "incoming");
  await mkdir(incoming);
  await bench.file(
    "reprepro/conf/distributions",
    `Origin: Lab\nLabel: Lab\nSuite: stable\nCodename: stable\nArchitectures: amd64 source\nComponents: main\nSignWith: ${signer}\n`,
  );
  const site = await serveFolder(folder);
  const reprepro = (...args: string[]) =>
    run("reprepro", "-b", folder, "--ignore=unusedoption", "-S", "misc", "-P", "optional", ...args);
  let made = 0;
  await reprepro("export");
  return Object.assign(site, {
    key,
    async includeDeb(control: Readonly<Record<string, string>>, files: Readonly<Record<string, string>> = {}) {
      made += 1;
      const deb = buildDeb({ control: { Section: "misc", Priority: "optional", ...control }, files });
      await reprepro("includedeb", "stable", await bench.file(`incoming/${made}.deb`, deb));
    },
    async includeSource(name: string, version: string, text?: string) {
      const files = buildSource(incoming, { name, version, ...(text === undefined ? {} : { text }) });
      const dsc = files.find((file) => file.endsWith(".dsc")) ?? "";
      await reprepro("includedsc", "stable", join(incoming, dsc));
    },
    remove: async (name: string) => void (await reprepro("remove", "stable", name)),
    keep: async () => void (await run("sh", "-ec", 'rm -rf "$1.kept"; cp -a "$1" "$1.kept"', "sh", folder)),
    mend: async () => {
      const bring = 'for one in dists pool; do rm -rf "$1/$one"; cp -a "$1.kept/$one" "$1/"; done';
      await run("sh", "-ec", bring, "sh", folder);
    },
    async sign(by = signer) {
      const suite = join(folder, "dists/stable");
      const gpg = (...args: string[]) => run("gpg", "--batch", "--yes", "--local-user", by, ...args);
      await gpg("--output", join(suite, "InRelease"), "--clearsign", join(suite, "Release"));
      await gpg("--output", join(suite, "Release.gpg"), "--armor", "--detach-sign", join(suite, "Release"));
    },
  });
}

export async function makeKey(bench: Workbench, user: string): Promise<void> {
  const quick = ["--batch", "--passphrase", "", "--quick-generate-key", user, "rsa2048", "sign", "never"];
  const { code, output } = await bench.run("gpg", quick);
  if (code !== 0) throw new Error(`gpg: ${output}`);
}
