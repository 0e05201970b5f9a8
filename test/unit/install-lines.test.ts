import { expect, test } from "vitest";
import { commandsFor } from "../../functions/http/discovery/install.ts";
import { sha256Of } from "../../shared/blob.ts";
import type { HeadChain } from "../../shared/repo/heads.ts";
import type { RepoType } from "../../shared/store/keys.ts";
import { aptKey, dirKey, yumKey } from "../../shared/tree/layout.ts";

const chain = (type: RepoType): HeadChain => ({ kind: "repo", id: "1", type, name: "tools", createdBy: "somebody" });
const linesOf = (type: RepoType, key: string) =>
  commandsFor("https://p.test", {
    chain: chain(type),
    row: { key, files: [{ sha256: sha256Of(""), sizeBytes: 1, name: "a" }] },
  }).lines;

const apt = (name: string, version: string, architecture = "amd64", suite = "stable", component = "main") =>
  linesOf("apt", aptKey({ suite, component }, architecture, name, version));
const yum = (name: string, version: string) =>
  linesOf("yum", yumKey({ architecture: "noarch", name, epoch: 0, version, release: "1" }));

test("apt is told the key, the suite and component where the package lies, and its version", () => {
  expect(apt("g++", "1:2~rc+b1", "amd64", "a/b", "non-free/more")).toEqual([
    "sudo install -d /etc/apt/keyrings",
    "sudo curl -fsSL -o /etc/apt/keyrings/tools.asc https://p.test/apt/tools/key.asc",
    "echo 'deb [signed-by=/etc/apt/keyrings/tools.asc] https://p.test/apt/tools a/b non-free/more' | sudo tee /etc/apt/sources.list.d/tools.list",
    "sudo apt-get update",
    "sudo apt-get install g++=1:2~rc+b1",
  ]);
});

test("a source package is fetched as one", () => {
  const lines = apt("hello", "1", "source");
  expect(lines.at(2)).toMatch(/^echo 'deb-src /);
  expect(lines.at(-1)).toBe("apt-get source hello=1");
});

test.each(["$(id)", "`id`", "a;id", "a b", "-o=x", "a\nid", "a'b", 'a"b', "a|b", "<a>", "ä", "a&b", "~a", "*"])(
  "a package that calls itself %s puts nothing of its own into a shell",
  (name) => {
    for (const lines of [apt(name, "1"), apt("a", name), yum(name, "1"), apt("a", "1", "amd64", name)]) {
      // A version may have what a name may not begin with: it stands behind the name.
      const text = lines.join("\n").replaceAll("a=-o=x", "").replaceAll("a=~a", "");
      expect(text).not.toContain(name);
    }
  },
);

test("a file of a plain directory is named so that a shell and a URL take it as it is", () => {
  expect(linesOf("dir", dirKey("a b/$(id)'`;*/ä.txt"))).toEqual([
    "curl -fLO https://p.test/dir/tools/a%20b/%24%28id%29%27%60%3B%2A/%C3%A4.txt",
  ]);
});
