import { Match, Template } from "aws-cdk-lib/assertions";
import { AwsSolutionsChecks } from "cdk-nag";
import { describe, expect, test } from "vitest";
import { FUNCTIONS } from "../../infra/bundle.ts";
import { SETTINGS } from "../../shared/settings.ts";
import { packhouseStack } from "../support/stack.ts";
import { named, propertiesOf, resourcesOf, statementsOf } from "../support/template.ts";

const template = Template.fromStack(packhouseStack());
const resources = resourcesOf(template);
const [, group] = named(resources, "AWS::Scheduler::ScheduleGroup", "Schedules");
const GROUP = String(propertiesOf(group).Name);
/** Where a right goes to more than one thing. */
const PREFIXES = new RegExp(`^("/(incoming|blobs|pointers)|":schedule/${GROUP})/\\*"$`);

describe("what functions may", () => {
  const policies = FUNCTIONS.map((name) => {
    const [, policy] = named(resources, "AWS::IAM::Policy", name);
    return { name, statements: statementsOf(template, policy) };
  });
  const who = (action: string, resource = ""): string[] =>
    policies
      .filter(({ statements }) =>
        statements.some(
          (one) => [one.Action].flat().includes(action) && JSON.stringify(one.Resource).includes(resource),
        ),
      )
      .map(({ name }) => name);

  test("is named action by action, on nothing wider than a prefix of the bucket or our group of schedules", () => {
    for (const { statements } of policies) {
      for (const one of statements) {
        expect([one.Action].flat().filter((action) => action.includes("*"))).toEqual([]);
        expect([one.Resource].flat()).not.toContain("*");
        const wild = JSON.stringify(one.Resource).match(/"[^"]*\*[^"]*"/g) ?? [];
        expect(wild.filter((part) => !PREFIXES.test(part))).toEqual([]);
      }
    }
    expect(
      Object.values(template.findResources("AWS::IAM::Role")).filter((role) => propertiesOf(role).ManagedPolicyArns),
    ).toEqual([]);
  });

  test("does not include to scan, to write in transactions, or to change the table itself", () => {
    const table = policies.flatMap(({ statements }) => statements.flatMap((one) => [one.Action].flat()));
    const used = new Set(table.filter((action) => action.startsWith("dynamodb:")));
    expect([...used].sort()).toEqual(
      ["BatchGetItem", "BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem"].map(
        (action) => `dynamodb:${action}`,
      ),
    );
  });

  test("to overwrite what clients trust, and to open signing keys, is kept to few", () => {
    expect(who("s3:PutObject", "pointers/")).toEqual(["publish"]);
    expect(who("s3:DeleteObject", "incoming/")).toEqual(["ingest", "worker"]);
    // Only a copy that turned out to be another than its address says.
    expect(who("s3:DeleteObject", "blobs/")).toEqual(["ingest", "worker"]);
    expect(who("s3:DeleteObject", "pointers/")).toEqual(["api", "worker", "publish"]);
    expect(who("kms:Decrypt")).toEqual(["api", "files", "worker", "publish"]);
    expect(who("s3:PutObject", "incoming/")).toEqual(["api", "ingest", "worker"]);
    expect(who("s3:GetObject", "incoming/")).toEqual(["api", "ingest", "worker"]);
  });

  test("to make and remove schedules is to do so in our own group, and to hand on its role to the scheduler alone", () => {
    const [roleId] = named(resources, "AWS::IAM::Role", "Schedules");
    for (const action of ["CreateSchedule", "UpdateSchedule", "DeleteSchedule", "GetSchedule"]) {
      expect(who(`scheduler:${action}`)).toEqual(["api", "worker", "publish"]);
      expect(who(`scheduler:${action}`, `:schedule/${GROUP}/*`)).toEqual(["api", "worker", "publish"]);
    }
    const passing = policies.flatMap(({ statements }) => statements.filter((one) => one.Action === "iam:PassRole"));
    expect(passing).toHaveLength(3);
    for (const one of passing) {
      expect(one.Resource).toEqual({ "Fn::GetAtt": [roleId, "Arn"] });
      expect(one.Condition).toEqual({ StringEquals: { "iam:PassedToService": "scheduler.amazonaws.com" } });
    }
  });

  test("to have work done is also that of who finds a file missing, but not to ingest or to publish", () => {
    const senders = (name: string) => who("sqs:SendMessage", named(resources, "AWS::SQS::Queue", name, /dead/)[0]);
    expect(senders("worker")).toEqual(["api", "files", "ingest", "worker"]);
    expect(senders("ingest")).not.toContain("files");
    expect(senders("publish")).not.toContain("files");
  });
});

describe("buckets that upstreams may lie in", () => {
  const stack = packhouseStack({ upstreamBuckets: ["team-files", "old-files"] });
  const chosen = Template.fromStack(stack);

  test("are read by the worker alone, and told to it", () => {
    for (const name of FUNCTIONS) {
      const [, policy] = named(resourcesOf(chosen), "AWS::IAM::Policy", name);
      const readable = JSON.stringify(statementsOf(chosen, policy)).includes(":s3:::team-files/*");
      expect([name, readable]).toEqual([name, name === "worker"]);
    }
    chosen.hasResourceProperties("AWS::Lambda::Function", {
      Environment: { Variables: Match.objectLike({ [SETTINGS.upstreamBuckets]: "team-files,old-files" }) },
    });
  });

  test("need no more than cdk-nag lets pass", () => {
    expect(new AwsSolutionsChecks().validateScope(stack).violations).toEqual([]);
  });
});

describe("the role of the schedules", () => {
  test("sends to the worker's queue and its dead letters, and nothing else", () => {
    const [queueId] = named(resources, "AWS::SQS::Queue", "worker", /dead/);
    const [deadId] = named(resources, "AWS::SQS::Queue", "workerdead");
    const [, policy] = named(resources, "AWS::IAM::Policy", "Schedules");
    expect(statementsOf(template, policy)).toEqual([
      {
        Effect: "Allow",
        Action: "sqs:SendMessage",
        Resource: [{ "Fn::GetAtt": [queueId, "Arn"] }, { "Fn::GetAtt": [deadId, "Arn"] }],
      },
    ]);
  });

  test("is taken on by the scheduler for our own group of this account", () => {
    const [, role] = named(resources, "AWS::IAM::Role", "Schedules");
    const { AssumeRolePolicyDocument } = propertiesOf(role);
    expect(AssumeRolePolicyDocument).toMatchObject({
      Statement: [
        {
          Action: "sts:AssumeRole",
          Principal: { Service: "scheduler.amazonaws.com" },
          Condition: { StringEquals: { "aws:SourceAccount": { Ref: "AWS::AccountId" } } },
        },
      ],
    });
    expect(JSON.stringify(AssumeRolePolicyDocument)).toContain(`:schedule-group/${GROUP}"`);
  });
});
