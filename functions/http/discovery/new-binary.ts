import { z } from "@hono/zod-openapi";
import type { Context as Request } from "hono";
import type { Labels } from "../../../shared/binary/node.ts";
import { awaitBinary } from "../../../shared/binary/upload.ts";
import type { Context } from "../../../shared/context.ts";
import type { Env } from "../app.ts";
import { Sha256Field } from "../schemas.ts";
import { UploadView, uploadView } from "./upload.ts";
import { discoveryUrl } from "./view.ts";

const MOST_LABEL = 200;
const MOST_REF = 255;
const MOST_EXTRA_BYTES = 64 * 1024;
const MOST_EXTRA_DEPTH = 32;

/** One line that any client can show: no control characters, no halves of a character. */
function line(most: number) {
  return z
    .string()
    .min(1)
    .max(most)
    .refine((text) => !/\p{Cc}/u.test(text) && text.isWellFormed(), "must be one line of text");
}

/** Deeper than any parser of those who read it may stand; checked without a call for each level. */
function isDeep(value: unknown): boolean {
  let level = [value];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > MOST_EXTRA_DEPTH) return true;
    level = level.flatMap((one) => (typeof one === "object" && one !== null ? Object.values(one) : []));
  }
  return false;
}

const Extra = z.unknown().superRefine((extra, check) => {
  if (isDeep(extra)) {
    check.addIssue({ code: "custom", message: `is nested over ${MOST_EXTRA_DEPTH} levels deep` });
    return;
  }
  const sizeBytes = Buffer.byteLength(JSON.stringify(extra) ?? "");
  if (sizeBytes > MOST_EXTRA_BYTES) {
    check.addIssue({ code: "custom", message: `has ${sizeBytes} bytes as JSON, over ${MOST_EXTRA_BYTES}` });
  }
});

/** What a CI tells of a binary; null is the same as nothing. */
const LABELS = {
  built_by: line(MOST_LABEL).nullish().openapi({ description: "who or what built it" }),
  ref: line(MOST_REF).nullish().openapi({ description: "the branch or tag of its source" }),
  sha1: z
    .string()
    .regex(/^(?:[0-9a-fA-F]{40}|[0-9a-fA-F]{64})$/, "must be the hash of a git commit: 40 or 64 hex digits")
    .transform((hash) => hash.toLowerCase())
    .nullish()
    .openapi({ description: "the git commit of its source" }),
  extra: Extra.optional().openapi({ description: "any JSON, up to 64 KB" }),
};

const CHANGES = z.string().optional().openapi({
  description: "the .changes of the same release that names it: no repo takes it but with all else that one names",
  example: "hello_2.10-3_amd64.changes",
});

const FIELDS = {
  sha256: Sha256Field.optional(),
  size: z.int().nonnegative().optional().openapi({ description: "bytes" }),
  ...LABELS,
  changes: CHANGES,
};

export const NewBinary = z
  .object({
    name: z.string().openapi({ example: "hello_2.10-3_amd64.deb" }),
    ...FIELDS,
    force: z.boolean().optional().openapi({ description: "replace what is stored under this name" }),
  })
  .openapi("NewBinary");

export const NewBytes = z.object({ name: z.string().optional(), ...FIELDS }).openapi("NewBytes");

export const BinaryAwaited = z
  .object({
    name: z.string(),
    url: z.string(),
    job: z.string(),
    upload: UploadView,
  })
  .openapi("BinaryAwaited");

type Wanted = Omit<z.infer<typeof NewBytes>, "name">;

/** Has a binary await the bytes that a body tells of. */
export async function answerAwaited(
  c: Request<Env>,
  segments: readonly string[],
  wanted: Wanted,
  force: boolean,
): Promise<z.input<typeof BinaryAwaited>> {
  const { ctx } = c.var;
  const { sha256, size: sizeBytes, changes } = wanted;
  const { job, upload } = await awaitBinary(ctx, segments, {
    ...{ sha256, sizeBytes, force, changes },
    labels: await labelsOf(ctx, wanted),
  });
  return {
    name: segments.at(-1) ?? "",
    url: discoveryUrl(ctx, segments),
    job: `${ctx.publicUrl}/jobs/${job}`,
    upload: uploadView(c, segments, upload),
  };
}

/** `extra` is kept as a blob: beside the leaves it would make their listing long. Undefined where nothing is told. */
async function labelsOf(ctx: Context, { built_by, ref, sha1, extra }: Wanted): Promise<Labels | undefined> {
  const labels: Labels = {
    ...(built_by ? { builtBy: built_by } : {}),
    ...(ref ? { ref } : {}),
    ...(sha1 ? { sha1 } : {}),
    ...(extra === undefined || extra === null
      ? {}
      : { extra: await ctx.objects.putBlob(Buffer.from(JSON.stringify(extra))) }),
  };
  return Object.keys(labels).length > 0 ? labels : undefined;
}
