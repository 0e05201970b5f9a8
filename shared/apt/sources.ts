import { AppError } from "../error.ts";
import { renderParagraph } from "./control.ts";

export type SourcesEntry = {
  types: readonly ("deb" | "deb-src")[];
  uri: string;
  suites: readonly string[];
  /** None where the suites are paths of flat repositories. */
  components: readonly string[];
  armoredKey: string;
};

/**
 * A file to put into `/etc/apt/sources.list.d/NAME.sources` as it is (sources.list(5)). The key stands in it: apt 2.4 and
 * newer then trust it for this repository alone, and no second file has to be fetched.
 * @throws AppError `invalid` when a value holds white space
 */
export function renderDeb822Sources({ types, uri, suites, components, armoredKey }: SourcesEntry): string {
  const key = armoredKey
    .trim()
    .split(/\r?\n/)
    .map((line) => `\n ${line.trimEnd() || "."}`);
  return renderParagraph([
    ["Types", words("Types", types)],
    ["URIs", words("URIs", [uri])],
    ["Suites", words("Suites", suites)],
    ...(components.length === 0 ? [] : [["Components", words("Components", components)] as const]),
    ["Signed-By", key.join("")],
  ]);
}

function words(field: string, values: readonly string[]): string {
  for (const value of values)
    if (value === "" || /\s/.test(value))
      throw new AppError("invalid", `${field} can not hold ${JSON.stringify(value)}`);
  return values.join(" ");
}
