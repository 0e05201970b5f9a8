import { afterAll, beforeAll, expect, test } from "vitest";
import { checkRelations } from "../../shared/apt/relations.ts";
import { openWorkbench, type Workbench } from "../support/workbench.ts";

let bench: Workbench;

beforeAll(async () => {
  bench = await openWorkbench("relations");
});

afterAll(() => bench.remove());

const read = [
  "",
  "a",
  "  a  ",
  "a,",
  "a, b,",
  "a|b",
  "a | b, c",
  "a ,b |c",
  "a,\n b",
  "a (>= 1)\n , b",
  "a\n ,b",
  "a(>=1)",
  "a ( >= 1 )",
  "a\t(>= 1)",
  "a (= 1:2-3~rc1+b1)",
  "a (<< 1), a (<= 1), a (>= 1), a (>> 1)",
  "a (< 1), a (> 1)",
  "a (1.0)",
  "a (123)",
  "a (=12)",
  "a (= 1)",
  "a (=1), b",
  "a (1) | b",
  "a:any (>= 1)",
  "libstdc++6 (>= 12), g++-12",
  "default-logind | logind (= 1), libc6.1",
];

const unreadable = [
  ",a",
  "a,,b",
  "a, ,b",
  "|a",
  "a||b",
  "a b",
  "a\n b",
  "a (1)",
  "a (12)",
  "a (=1)",
  "a ()",
  "a (>= )",
  "a (>= 1",
  "a (>= 1) b",
  "a (>= 1) (<< 2)",
  "(>= 1)",
  "a)",
  "a [amd64]",
  "a <!nocheck>",
  "a >= 1",
  "a (",
];

/** Whether apt reads an index with such a package. */
async function aptReads(field: string, value: string): Promise<boolean> {
  const status = await bench.file(
    "status",
    `Package: x\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n${field}: ${value}\n\n`,
  );
  const options = [`Dir::State=${bench.folder}`, `Dir::State::status=${status}`, "Dir::Etc=/none", "Dir::Cache="];
  const { output } = await bench.run("apt-cache", [...options.flatMap((one) => ["-o", one]), "show", "x"]);
  return !/^E:/m.test(output);
}

const refused = (field: string, value: string): boolean => {
  try {
    checkRelations([[field, value.trim()]]);
    return false;
  } catch {
    return true;
  }
};

test.each(["Depends", "Provides"])(
  "relations of %s are taken where apt reads them, and refused where it cannot",
  async (field) => {
    for (const value of [...read.slice(1), ...unreadable]) {
      const told = `${field}: ${JSON.stringify(value)}`;
      expect(await aptReads(field, value), told).toBe(read.includes(value));
      expect(refused(field, value), told).toBe(!read.includes(value));
    }
  },
);
