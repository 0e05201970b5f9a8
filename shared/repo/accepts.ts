import { z } from "zod";
import { AppError } from "../error.ts";
import type { AptPlace } from "../tree/layout.ts";

/** Which binaries of the discovery tree a repo takes, and where in the repo they go. */
export type AcceptRule = {
  readonly path: string;
  readonly suite?: string | undefined;
  readonly component?: string | undefined;
};

/** Where a binary of the discovery tree lies; `binary` is its file name. */
export type BinaryPath = {
  readonly name: string;
  readonly distribution: string;
  readonly release: string;
  readonly architecture: string;
  readonly binary: string;
};

const RELEASE = "{release}";
const LEVELS = 4;
const PATTERN_SEGMENT = /^(?:\*|\*\*|(?:[A-Za-z0-9._+~:@\-^=]|%3[aA]){1,200})$/;
export const DIST_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}(?:\/[A-Za-z0-9][A-Za-z0-9._-]{0,99}){0,3}$/;
export const COMPONENT_NAME = DIST_NAME;

const PATTERN_RULE =
  "a pattern is a discovery path of four segments (name/distribution/release/architecture), or five with the file name; * stands for one segment, ** at the end for all the rest";

function patternProblem(path: string): string | undefined {
  const segments = path.split("/").filter((part, index, all) => part !== "" || (index > 0 && index < all.length - 1));
  const open = segments.at(-1) === "**";
  if (segments.some((part, index) => !PATTERN_SEGMENT.test(part) || (part === "**" && index < segments.length - 1))) {
    return PATTERN_RULE;
  }
  if (!open && segments.length !== LEVELS && segments.length !== LEVELS + 1) return PATTERN_RULE;
  if (open && segments.length > LEVELS + 1) return PATTERN_RULE;
  return undefined;
}

const Pattern = z
  .string()
  .max(1024)
  .superRefine((path, check) => {
    const problem = patternProblem(path);
    if (problem !== undefined) check.addIssue({ code: "custom", message: `${JSON.stringify(path)}: ${problem}` });
  })
  .transform((path) => path.replace(/^\/|\/$/g, ""));

/** A union's own message would tell nothing: the one of the form that was meant. */
function ruleProblem({ input, errors }: { input?: unknown; errors?: unknown }): string {
  if (typeof input === "string") return `${JSON.stringify(input.slice(0, 200))}: ${PATTERN_RULE}`;
  const inside = z.array(z.array(z.object({ path: z.array(z.unknown()), message: z.string() }))).safeParse(errors);
  const first = typeof input === "object" && input !== null ? inside.data?.at(-1)?.[0] : undefined;
  if (!first) return 'a rule is a pattern, or {"path": pattern, "suite": …, "component": …}';
  return [first.path.join("."), first.message].filter((part) => part !== "").join(": ");
}

const suiteRule = z
  .string()
  .refine((suite) => suite === RELEASE || DIST_NAME.test(suite), `must be ${RELEASE} or match ${DIST_NAME.source}`);

/** As a body gives it: a pattern alone means the repo's own suite and component. */
export const AcceptsInput = z
  .array(
    z.union(
      [
        Pattern.transform((path): AcceptRule => ({ path })),
        z.strictObject({
          path: Pattern,
          suite: suiteRule.optional(),
          component: z.string().regex(COMPONENT_NAME).optional(),
        }),
      ],
      { error: ruleProblem },
    ),
  )
  .max(100);

export function firstSegmentsOf(rules: readonly AcceptRule[]): string[] {
  return [...new Set(rules.map((rule) => firstSegmentOf(rule)))];
}

/** Under which key a rule is found: a name, or `*` for one that takes every name. */
function firstSegmentOf(rule: AcceptRule): string {
  const first = rule.path.split("/")[0] ?? "**";
  return first === "**" ? "*" : first;
}

export function matches(rule: AcceptRule, path: BinaryPath): boolean {
  const wanted = rule.path.split("/");
  const segments = [path.name, path.distribution, path.release, path.architecture, path.binary];
  const rest = wanted.at(-1) === "**";
  const fixed = rest ? wanted.slice(0, -1) : wanted;
  return fixed.every((part, index) => part === "*" || part === segments[index]);
}

/** The distinct places in the repo that its rules give a binary; none where no rule takes it. */
export function placesFor(
  repo: { suite: string; component: string; accepts: readonly AcceptRule[] },
  path: BinaryPath,
): AptPlace[] {
  const places = new Map<string, AptPlace>();
  for (const rule of repo.accepts) {
    if (!matches(rule, path)) continue;
    const suite = rule.suite === RELEASE ? path.release : (rule.suite ?? repo.suite);
    if (!DIST_NAME.test(suite)) {
      throw new AppError("unprocessable", `release ${JSON.stringify(suite)} cannot be a suite: ${DIST_NAME.source}`);
    }
    const component = rule.component ?? repo.component;
    places.set(`${suite} ${component}`, { suite, component });
  }
  return [...places.values()];
}
