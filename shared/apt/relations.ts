import { AppError } from "../error.ts";
import { type ControlFields, fieldOf } from "./control.ts";

/** The fields in which apt looks for relations (apt-pkg/deb/deblistparser.cc). */
const RELATION_FIELDS = [
  "Pre-Depends",
  "Depends",
  "Recommends",
  "Suggests",
  "Enhances",
  "Conflicts",
  "Breaks",
  "Replaces",
  "Obsoletes",
  "Provides",
] as const;

// `name[:arch] [(operator version)]` (Policy 7.1); without an operator `=` is meant, as dpkg still takes it.
const RELATION = /^\s*[^\s,|()[\]<>]+\s*(?:\(\s*(?:(?:<<|<=|=|>=|>>|<|>)\s*)?[^\s,|()<>=]+\s*\)\s*)?$/;

// apt takes a version for broken off where less than this follows its parenthesis: `(=1)` at the very end.
const FEWEST_AFTER_PARENTHESIS = 4;

/**
 * Refuses relations that apt cannot read: one such package in an index, and apt reads nothing of that index at all.
 * @throws AppError `unprocessable` naming the field
 */
export function checkRelations(control: ControlFields): void {
  for (const field of RELATION_FIELDS) {
    const wrong = unreadableIn(fieldOf(control, field) ?? "");
    if (wrong === undefined) continue;
    const shown = JSON.stringify(wrong.trim().slice(0, 100));
    const message = `${field}: ${shown} should be "name" or "name (>= version)", parted by , or |`;
    throw new AppError("unprocessable", message, { field });
  }
}

function unreadableIn(value: string): string | undefined {
  if (value === "") return undefined;
  const relations = value.replace(/,\s*$/, "").split(/[,|]/);
  const open = value.lastIndexOf("(");
  const brokenOff = open >= 0 && value.length - open - 1 < FEWEST_AFTER_PARENTHESIS;
  return relations.find((relation) => !RELATION.test(relation)) ?? (brokenOff ? relations.at(-1) : undefined);
}
