import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openApt } from "../support/clients-apt.ts";
import { deb } from "../support/clients-debs.ts";
import { openDnf } from "../support/clients-dnf.ts";
import { openSite, type Site } from "../support/clients-site.ts";
import { buildRpm } from "../support/rpm-builder.ts";
import { sha256 } from "../support/surface-requests.ts";

let site: Site;
const HELLO = deb({ Package: "hello", Version: "1:2.10-3" });
const RPM = buildRpm({ name: "lab", epoch: 1, version: "2", release: "3", arch: "x86_64" });

beforeAll(async () => {
  site = await openSite("install-lines");
  await Promise.all([
    site.repo("tools", "apt", { accepts: [{ path: "hello/**", suite: "{release}", component: "extra" }] }),
    site.repo("rpms", "yum", { accepts: ["lab/**"] }),
    site.packhouse.call("POST", "/repo", { name: "files", type: "dir", accepts: ["lab/**"] }),
    site.repo("others", "apt", { accepts: ["other/**"] }),
  ]);
  await site.packhouse.upload("/packages/hello/debian/sid/amd64/hello_2.10-3_amd64.deb", HELLO.bytes);
  await site.packhouse.upload("/packages/lab/centos/9/x86_64/lab-2-3.x86_64.rpm", RPM);
});
afterAll(() => site.close());

/** The lines that a page about a binary gives for each repo, as a browser shows them. */
async function linesOf(path: string): Promise<Record<string, string>> {
  const html = (await site.read(`${path}?info`)).toString();
  const blocks = [...html.matchAll(/<h3>(\S+) <small>\w+<\/small><\/h3>\s*<pre><code>([\s\S]*?)<\/code>/g)];
  return Object.fromEntries(blocks.map(([, repo, text = ""]) => [repo, text.replaceAll("&#39;", "'")]));
}

test("the lines for apt, pasted into a shell, install the package", async () => {
  const lines = await linesOf("/packages/hello/debian/sid/amd64/hello_2.10-3_amd64.deb");
  expect(Object.keys(lines)).toEqual(["tools"]);
  const apt = await openApt(site.bench, "pasted", { list: "" });
  const etc = join(site.bench.folder, "pasted/etc");
  const script = `set -e\nsudo() { "$@"; }\n${lines.tools?.replaceAll("/etc/apt/", `${etc}/`)}\n`;
  const { code, output } = await site.bench.run("env", [`APT_CONFIG=${apt.config}`, "sh", "-c", script]);
  expect([code, output]).toEqual([0, expect.not.stringMatching(/^[EW]:/m)]);
  expect((await apt.run("apt-cache", "policy", "hello")).output).toContain("Installed: 1:2.10-3");
});

test("the lines for dnf name the repository and the version that it installs", async () => {
  const lines = await linesOf("/packages/lab/centos/9/x86_64/lab-2-3.x86_64.rpm");
  expect(Object.keys(lines).sort()).toEqual(["files", "rpms"]);
  const [fetched = "", install = ""] = lines.rpms?.split("\n") ?? [];
  const repos = join(site.bench.folder, "lab/repos");
  const dnf = await openDnf(site.bench, "lab", { "none.repo": "" });
  const got = await site.bench.run("sh", ["-c", fetched.replace("sudo ", "").replace("/etc/yum.repos.d", repos)]);
  expect(got).toMatchObject({ code: 0 });
  expect(install).toMatch(/^sudo dnf install lab-1:2-3$/);
  expect(await dnf.query("--qf", "%{name} %{evr}", install.replace("sudo dnf install ", ""))).toEqual(["lab 1:2-3"]);

  const into = join(site.bench.folder, "lab");
  expect(await site.bench.run("sh", ["-c", `cd ${into} && ${lines.files}`])).toMatchObject({ code: 0 });
  const sum = await site.bench.run("sha256sum", [join(into, "lab-2-3.x86_64.rpm")]);
  expect(sum.output).toContain(sha256(RPM));
});
