import { z } from "zod";
import { durationInput, TEN_YEARS_SECONDS } from "../duration.ts";
import type { RepoType } from "../store/keys.ts";
import { AcceptsInput, COMPONENT_NAME, DIST_NAME } from "./accepts.ts";

export const REPO_TYPES = ["yum", "apt", "dir"] as const satisfies readonly RepoType[];
export const REPO_NAME = /^[a-z0-9][a-z0-9._-]{0,99}$/;

const architecture = z.string().regex(/^[a-z0-9][a-z0-9_-]{0,39}$/);
const line = z
  .string()
  .max(200)
  .regex(/^[^\p{Cc}]*$/u, "must be one line without control characters");

const IndexFormat = z.enum(["gz", "xz"]);
const LEAST_VALID_SECONDS = 3600;
/** The largest keys of RSA, with all that others signed on them, are a few of these. */
export const PrivateKeyText = z.string().min(1).max(65_536);

/** What a caller may say of a repo, beside its name and type. */
export const RepoSettings = z.strictObject({
  accepts: AcceptsInput.optional(),
  suite: z.string().regex(DIST_NAME).optional(),
  component: z.string().regex(COMPONENT_NAME).optional(),
  components: z.array(z.string().regex(COMPONENT_NAME)).max(50).optional(),
  architectures: z.array(architecture).max(50).optional(),
  origin: line.optional(),
  label: line.optional(),
  description: line.optional(),
  /** The repo of the same type whose head is taken over after each of its commits; null ends it. */
  follow: z.string().regex(REPO_NAME).nullable().optional(),
  /** Commits that are kept. */
  keep: z.int().min(1).max(100_000).optional(),
  /** apt takes packages of it only where it is told to. */
  not_automatic: z.boolean().optional(),
  /** How indexes are packed; every client reads gz, so it is always there. */
  indexes: z
    .array(IndexFormat)
    .max(2)
    .refine((formats) => formats.includes("gz"), 'must be ["gz"] or ["gz","xz"]')
    .transform((formats) => IndexFormat.options.filter((one) => formats.includes(one)))
    .optional(),
  /** Said in words, here in seconds: for so long clients take a publication; null: for ever. */
  valid_for: durationInput(LEAST_VALID_SECONDS, TEN_YEARS_SECONDS).nullable().optional(),
  /** An armored private key to sign with. */
  key: PrivateKeyText.optional(),
  /** Changes also what makes clients stop. */
  force: z.boolean().optional(),
  /** Where the bytes come from, in other repositories' words: accepted and ignored. */
  path: z.string().max(2048).optional(),
});
export type RepoSettings = z.infer<typeof RepoSettings>;

/** What is stored of them. */
export const Choices = z.object({
  suite: z.string(),
  component: z.string(),
  components: z.array(z.string()),
  architectures: z.array(z.string()),
  origin: z.string(),
  label: z.string(),
  description: z.string(),
  accepts: z.array(z.object({ path: z.string(), suite: z.string().optional(), component: z.string().optional() })),
  follow: z.string().nullable(),
  keep: z.number().int(),
  notAutomatic: z.boolean(),
  indexes: z.array(IndexFormat).default(["gz"]),
  /** Seconds. */
  validFor: z.number().int().nullable().default(null),
});
export type Choices = z.infer<typeof Choices>;

/** Of a repo of which nothing was said. */
export function defaultChoices(name: string): Choices {
  return {
    suite: "stable",
    component: "main",
    components: [],
    architectures: ["amd64", "arm64"],
    origin: name,
    label: name,
    description: "",
    accepts: [],
    follow: null,
    keep: 100,
    notAutomatic: false,
    indexes: ["gz"],
    validFor: null,
  };
}

/** What was said, and the rest as it was. */
export function chosen(before: Choices, said: RepoSettings): Choices {
  const component = said.component ?? before.component;
  return {
    suite: said.suite ?? before.suite,
    component,
    components: [...new Set([component, ...(said.components ?? before.components)])],
    architectures: said.architectures ?? before.architectures,
    origin: said.origin ?? before.origin,
    label: said.label ?? before.label,
    description: said.description ?? before.description,
    accepts: said.accepts ?? before.accepts,
    follow: said.follow === undefined ? before.follow : said.follow,
    keep: said.keep ?? before.keep,
    notAutomatic: said.not_automatic ?? before.notAutomatic,
    indexes: said.indexes ?? before.indexes,
    validFor: said.valid_for === undefined ? before.validFor : said.valid_for,
  };
}

/** Settings that apt holds a repo to: it takes nothing more from one that changes them until its user agrees. */
export const HELD_TO = ["origin", "label", "suite"] as const;
