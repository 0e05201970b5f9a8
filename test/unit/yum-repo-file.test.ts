import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AppError } from "../../shared/error.ts";
import { type RepoFile, renderRepoFile } from "../../shared/yum/repo-file.ts";

const TOOLS: RepoFile = {
  id: "packhouse-tools",
  name: "Tools of the house",
  mirrorlistUrl: "https://packages.example.org/yum/tools/mirrorlist",
  keyUrl: "https://packages.example.org/yum/tools/key.asc",
  gpgcheck: false,
};

describe("a .repo file", () => {
  it("says all that dnf.conf could say otherwise", () => {
    expect(renderRepoFile(TOOLS)).toBe(`[packhouse-tools]
name=Tools of the house
mirrorlist=https://packages.example.org/yum/tools/mirrorlist
enabled=1
repo_gpgcheck=1
gpgcheck=0
gpgkey=https://packages.example.org/yum/tools/key.asc
metadata_expire=60
`);
    expect(renderRepoFile({ ...TOOLS, gpgcheck: true })).toContain("\ngpgcheck=1\n");
  });

  it("refuses an id that dnf refuses", () => {
    for (const id of ["", "a b", "a@1", "a/b", "a]", "a\nb", "main", "ä"])
      expect(() => renderRepoFile({ ...TOOLS, id })).toThrow(AppError);
    for (const id of ["A-z_0.9:x"]) expect(renderRepoFile({ ...TOOLS, id })).toContain(`[${id}]`);
  });

  it("never lets a value begin another line", () => {
    const value = fc.string({ unit: "binary", maxLength: 20 });
    fc.assert(
      fc.property(value, value, value, (name, path, key) => {
        const file = { ...TOOLS, name, mirrorlistUrl: `https://x/${path}`, keyUrl: `https://x/${key}` };
        let text: string;
        try {
          text = renderRepoFile(file);
        } catch (error) {
          expect(error).toBeInstanceOf(AppError);
          return;
        }
        expect(text.split(/[\p{Cc}\p{Zl}\p{Zp}]/u)).toHaveLength(9);
      }),
    );
  });

  it("refuses what is no single absolute URL", () => {
    for (const mirrorlistUrl of ["", "/yum/tools", "https://x/a b", "https://x/,https://y/", "https://x/$releasever"])
      expect(() => renderRepoFile({ ...TOOLS, mirrorlistUrl })).toThrow(/must be an absolute URL/);
  });
});
