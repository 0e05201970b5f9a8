import { randomBytes } from "node:crypto";
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import { AppError } from "../../shared/error.ts";
import { fsyncPath } from "./store-folder.ts";

/** Grows when what lies in the folder can no longer be read by the code before. 2: small bodies lie in the database. */
const FORMAT = 2;

const Format = z.object({ format: z.number().int() });
const Credentials = z.object({ region: z.string(), accessKeyId: z.string(), secretAccessKey: z.string() });

export type DataFolder = {
  readonly path: string;
  readonly database: string;
  readonly objects: string;
  readonly rootTokenFile: string;
  /** Made with the folder; nobody else ever sees it but in this file. */
  readonly rootToken: string;
  readonly sealingKey: Buffer;
  /** What the local AWS endpoints take for a good signature. */
  readonly aws: z.infer<typeof Credentials>;
};

/** Opens `.packhouse/`, making what is missing. @throws AppError in one line that says what is wrong with it */
export function openDataFolder(path: string): DataFolder {
  try {
    makeFolder(path);
    checkFormat(path);
    const rootTokenFile = join(path, "root.token");
    return {
      path,
      database: join(path, "database"),
      objects: join(path, "objects"),
      rootTokenFile,
      rootToken: secretFile(rootTokenFile, () => `${randomBytes(32).toString("base64url")}\n`).trim(),
      sealingKey: Buffer.from(
        secretFile(join(path, "sealing.key"), () => `${randomBytes(32).toString("hex")}\n`).trim(),
        "hex",
      ),
      aws: Credentials.parse(JSON.parse(secretFile(join(path, "aws.json"), newCredentials))),
    };
  } catch (error) {
    throw clearError(path, error);
  }
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    // Of a read-only file system Node says ENOENT when it makes a whole path; one folder alone tells the truth.
    if (isSystemError(error) && error.code === "ENOENT") mkdirSync(firstMissing(path));
    throw error;
  }
}

function firstMissing(path: string): string {
  const above = dirname(path);
  return above === path || existsSync(above) ? path : firstMissing(above);
}

function newCredentials(): string {
  return `${JSON.stringify(
    {
      region: "us-east-1",
      accessKeyId: `PH${randomBytes(9).toString("hex").toUpperCase()}`,
      secretAccessKey: randomBytes(30).toString("base64url"),
    },
    null,
    2,
  )}\n`;
}

function checkFormat(path: string): void {
  const found = Format.safeParse(JSON.parse(secretFile(join(path, "format.json"), () => `{"format":${FORMAT}}\n`)));
  if (!found.success) throw new AppError("conflict", `${join(path, "format.json")} is not one of Packhouse's`);
  if (found.data.format > FORMAT) {
    throw new AppError(
      "conflict",
      `${path} was written by a newer Packhouse (format ${found.data.format}, this one knows ${FORMAT}): use that one`,
    );
  }
}

/**
 * Says in `format.json` that the code before can no longer read what lies in the folder. To be called before anything of that kind
 * is written.
 */
export function markFormat(path: string): void {
  const file = join(path, "format.json");
  const text = `{"format":${FORMAT}}\n`;
  if (readFileSync(file, "utf8") === text) return;
  writeWhole(file, text);
  fsyncPath(path);
}

/** Reads a file that only its owner may read, making it first where there is none: whole or not at all. */
function secretFile(file: string, make: () => string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (!isSystemError(error) || error.code !== "ENOENT") throw error;
  }
  writeWhole(file, make());
  return readFileSync(file, "utf8");
}

function writeWhole(file: string, text: string): void {
  const draft = `${file}.${process.pid}.new`;
  const handle = openSync(draft, "w", 0o600);
  try {
    writeSync(handle, text);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(draft, file);
}

const SAYINGS: Readonly<Record<string, string>> = {
  ENOSPC: "no space left on device",
  EDQUOT: "the disk quota is used up",
  EACCES: "permission denied",
  EPERM: "not permitted",
  EROFS: "the file system is read-only",
  ENOTDIR: "a part of the path is no folder",
  EEXIST: "a file of that name stands where the folder should be",
};

function clearError(path: string, error: unknown): unknown {
  if (error instanceof AppError) return error;
  if (isSystemError(error)) {
    return new AppError("unavailable", `cannot use ${path}: ${SAYINGS[error.code ?? ""] ?? error.message}`);
  }
  if (error instanceof SyntaxError || error instanceof z.ZodError) {
    return new AppError("conflict", `a settings file in ${path} is damaged: ${error.message.split("\n")[0]}`);
  }
  return error;
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "code" in error && typeof error.code === "string";
}
