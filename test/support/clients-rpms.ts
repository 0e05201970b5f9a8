import { readFileSync } from "node:fs";
import { basename } from "node:path";
import type { NamedPackage } from "./clients-site.ts";
import { rpmbuild, type SpecFile } from "./rpmbuild.ts";

/** As dnf writes it: `name-epoch:version-release.arch`. */
export type BuiltRpm = NamedPackage & { readonly nevra: string; readonly path: string };

export function rpm(folder: string, spec: SpecFile & { epoch?: number; version?: string }): BuiltRpm {
  const { name, epoch = 0, version = "1.0-1", build } = spec;
  const architecture = build === "-bs" ? "src" : (spec.target ?? "noarch");
  const [v = "", release = ""] = version.split("-");
  const numbers = `Epoch: ${epoch}\nVersion: ${v}\nRelease: ${release}\n`;
  const path = rpmbuild(`${folder}/${version}-${architecture}`, {
    files: "",
    ...spec,
    preamble: `${epoch ? numbers : numbers.replace(/^Epoch.*\n/, "")}${spec.preamble ?? ""}`,
  });
  return {
    name,
    architecture,
    filename: basename(path),
    bytes: readFileSync(path),
    nevra: `${name}-${epoch}:${version}.${architecture}`,
    path,
  };
}

/** A file of the package, and what writes it. */
export function holding(path: string, text: string): Pick<SpecFile, "install" | "files"> {
  return { install: `install -d %{buildroot}$(dirname ${path})\necho ${text} > %{buildroot}${path}`, files: path };
}

/** Of every kind that rpmbuild makes: payloads, versions, architectures, dependencies. */
export function everyKindOfRpm(folder: string): BuiltRpm[] {
  const x86 = { target: "x86_64" };
  const payload = (kind: string) => ({ defines: { _binary_payload: kind } });
  return [
    rpm(folder, { name: "packed-gz", ...x86, ...payload("w9.gzdio"), ...holding("/usr/share/gz", "gz") }),
    rpm(folder, { name: "packed-xz", ...x86, ...payload("w2.xzdio"), ...holding("/usr/share/xz", "xz") }),
    rpm(folder, { name: "packed-zst", ...x86, ...payload("w3.zstdio"), ...holding("/usr/share/zst", "zst") }),
    rpm(folder, { name: "epoch", epoch: 3, version: "1.0-1.el9" }),
    rpm(folder, { name: "tilde", version: "2.0~rc1-1.el9" }),
    rpm(folder, { name: "caret", version: "2.0^20240101git+abc-1.el9" }),
    rpm(folder, { name: "lib++lab", version: "1.0+dfsg-1", ...x86 }),
    rpm(folder, { name: "foreign", target: "aarch64" }),
    rpm(folder, { name: "sourced", build: "-bs" }),
    rpm(folder, RICH),
  ];
}

const RICH = {
  name: "rich",
  epoch: 1,
  version: "2.1-3",
  target: "x86_64",
  preamble: `URL: https://example.org/?a=1&b=2
Group: Development/Tools
Vendor: Größe & Söhne
Packager: Ann Other <ann@example.org>
Requires: plain, versioned >= 2:1.0-1, /usr/bin/env
Requires: (alpha or (beta and gamma >= 2))
Requires(pre): shadow-utils
Provides: virtual-rich = 2.1, rich(api)
Conflicts: other < 3
Obsoletes: ancient <= 1:4
Recommends: nice
Suggests: (nicer if desktop)
Supplements: (rich-host and langpacks-de)
Enhances: editor
`,
  description: "Several lines <with> & markup,\n\n größer 包 🦊.",
  install: `mkdir -p %{buildroot}/usr/bin %{buildroot}/etc/rich %{buildroot}/usr/share/rich
echo x > %{buildroot}/usr/bin/rich
echo x > %{buildroot}/etc/rich/rich.conf
echo x > "%{buildroot}/usr/share/rich/a file & more"`,
  files: `/usr/bin/rich
%dir /etc/rich
%config(noreplace) /etc/rich/rich.conf
%ghost /var/log/rich.log
"/usr/share/rich/a file & more"`,
  rest: `%pre
exit 0
%changelog
* Mon Jan 15 2024 Ann Other <ann@example.org> - 2.1-3
- Größer & <better>
* Sun Jan 14 2024 Ann Other <ann@example.org> - 2.1-2
- first`,
};
