import { readFileSync } from "node:fs";
import { App, Validations } from "aws-cdk-lib";
import { Code } from "aws-cdk-lib/aws-lambda";
import flags from "aws-cdk-lib/recommended-feature-flags.json" with { type: "json" };
import { AwsSolutionsChecks } from "cdk-nag";
import { z } from "zod";
import { bundleEdge, bundleFunction } from "./bundle.ts";
import { PackhouseStack } from "./stack.ts";

const app = new App({ context: flags });

/** What a team may choose at `cdk deploy -c name=value`. */
const choice = (name: string): string | undefined => z.string().min(1).optional().parse(app.node.tryGetContext(name));

const domainName = choice("domainName");
const certificateArn = choice("certificateArn");
if ((domainName === undefined) !== (certificateArn === undefined))
  throw new Error("domainName needs certificateArn (a certificate in us-east-1 for that name) and the other way round");
const alarmEmail = choice("alarmEmail");
const upstreamBuckets = choice("upstreamBuckets")?.split(",");
const connectionsPerHost = z.coerce.number().int().min(1).max(64).optional().parse(choice("connectionsPerHost"));

new PackhouseStack(app, choice("stackName") ?? "Packhouse", {
  codeOf: (name) => Code.fromAsset(bundleFunction(name)),
  edgeCode: readFileSync(bundleEdge(), "utf8"),
  ...(domainName && certificateArn && { domain: { name: domainName, certificateArn } }),
  ...(alarmEmail && { alarmEmail }),
  ...(upstreamBuckets && { upstreamBuckets }),
  ...(connectionsPerHost && { connectionsPerHost }),
});

Validations.of(app).addPlugins(new AwsSolutionsChecks(app, { verbose: true }));
app.synth();
