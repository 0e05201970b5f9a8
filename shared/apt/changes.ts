import * as z from "zod";
import type { RangeSource } from "../blob.ts";
import { AppError } from "../error.ts";
import { ControlFields } from "./control.ts";
import { filesNamed, NamedFile } from "./file-lists.ts";
import { checkPackageName, checkVersion } from "./names.ts";
import { readSignedParagraph, requiredField } from "./signed-paragraph.ts";

/** What a .changes tells of the build that it is about. */
export const Changes = z.object({
  format: z.literal("changes"),
  /** Of the source package. */
  name: z.string(),
  version: z.string(),
  /** As it stands there: words as `source amd64 all`. */
  architecture: z.string(),
  control: ControlFields,
  files: z.array(NamedFile).readonly(),
  signed: z.boolean(),
});
export type Changes = z.infer<typeof Changes>;

const MOST_FILES = 1000;
const MOST_ARCHITECTURE = 200;

/**
 * Reads a .changes (Debian Policy 5.5), plain or clearsigned.
 * @throws AppError `unprocessable` that says what is wrong with which field, or at which line
 */
export async function readChanges(source: RangeSource): Promise<Changes> {
  const { fields, signed } = await readSignedParagraph(source);
  const format = requiredField(fields, "Format");
  if (!/^1\.\d+$/.test(format)) {
    throw new AppError("unprocessable", `Format ${JSON.stringify(format.slice(0, 100))} should be 1.8 or another 1.x`);
  }
  // Of a binary rebuild it is `name (version of the source)`.
  const name = requiredField(fields, "Source").replace(/ \([^()]*\)$/, "");
  checkPackageName(name);
  const version = requiredField(fields, "Version", checkVersion);
  const architecture = requiredField(fields, "Architecture").slice(0, MOST_ARCHITECTURE);
  const files = filesNamed(fields, {
    words: 5,
    most: MOST_FILES,
    belongs: (file) => (file.endsWith(".changes") ? "a .changes names no other" : undefined),
  });
  return { format: "changes", name, version, architecture, control: fields, files, signed };
}
