import { createHash } from "node:crypto";
import * as z from "zod";
import type { RangeSource } from "../blob.ts";
import { AppError } from "../error.ts";
import { ControlFields } from "./control.ts";
import { filesNamed, NamedFile } from "./file-lists.ts";
import { checkPackageName, checkVersion } from "./names.ts";
import { readSignedParagraph, requiredField } from "./signed-paragraph.ts";

/** What a .dsc tells of its source package. */
export const Dsc = z.object({
  format: z.literal("dsc"),
  name: z.string(),
  version: z.string(),
  control: ControlFields,
  /** What the source package is made of beside the .dsc. */
  files: z.array(NamedFile).readonly(),
  /** Of the .dsc itself. */
  md5: z.string(),
  signed: z.boolean(),
});
export type Dsc = z.infer<typeof Dsc>;

/** Debian has source packages of some hundred parts. */
const MOST_FILES = 500;
const SOURCE_FORMAT = /^\d+\.\d+(?: \([a-z0-9]+\))?$/;

/**
 * Reads a .dsc (Debian Policy 5.4), plain or clearsigned.
 * @throws AppError `unprocessable` that says what is wrong with which field, or at which line
 */
export async function readDsc(source: RangeSource): Promise<Dsc> {
  const { bytes, fields, signed } = await readSignedParagraph(source);
  const format = requiredField(fields, "Format");
  if (!SOURCE_FORMAT.test(format)) {
    throw new AppError("unprocessable", `Format ${JSON.stringify(format.slice(0, 100))} should be as "3.0 (quilt)"`);
  }
  const name = requiredField(fields, "Source", checkPackageName);
  const version = requiredField(fields, "Version", checkVersion);
  requiredField(fields, "Architecture");
  const files = filesNamed(fields, {
    words: 3,
    most: MOST_FILES,
    belongs: (file) => (/\.(?:dsc|changes)$/.test(file) ? "a source package is made of other files" : undefined),
  });
  const md5 = createHash("md5").update(bytes).digest("hex");
  return { format: "dsc", name, version, control: fields, files, md5, signed };
}
