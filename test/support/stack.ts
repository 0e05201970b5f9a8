import { App } from "aws-cdk-lib";
import { Code } from "aws-cdk-lib/aws-lambda";
import flags from "aws-cdk-lib/recommended-feature-flags.json" with { type: "json" };
import { type PackhouseProps, PackhouseStack } from "../../infra/stack.ts";

/** What the bundles would give. */
export const STACK_PARTS = {
  codeOf: () => Code.fromInline("exports.handler = async () => {};"),
  edgeCode: "function handler(e){return e}",
};

export function packhouseStack(choices: Partial<PackhouseProps> = {}): PackhouseStack {
  return new PackhouseStack(new App({ context: flags }), "Packhouse", { ...STACK_PARTS, ...choices });
}
