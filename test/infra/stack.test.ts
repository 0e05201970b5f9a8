import { App, Stack } from "aws-cdk-lib";
import { Match, Template } from "aws-cdk-lib/assertions";
import { Queue } from "aws-cdk-lib/aws-sqs";
import { AwsSolutionsChecks } from "cdk-nag";
import { describe, expect, test } from "vitest";
import { FUNCTIONS } from "../../infra/bundle.ts";
import { PackhouseStack } from "../../infra/stack.ts";
import { FUNCTION_SECONDS, MAX_RECEIVES, SETTINGS, TABLE_KEYS } from "../../shared/settings.ts";
import { packhouseStack, STACK_PARTS } from "../support/stack.ts";
import { named, propertiesOf, resourcesOf, statementsOf } from "../support/template.ts";

const stack = packhouseStack();
const template = Template.fromStack(stack);
const resources = resourcesOf(template);

describe("functions", () => {
  test.each(FUNCTIONS)("%s runs on Node 24 and arm64, within its time, with the settings by name", (name) => {
    const [, made] = named(resources, "AWS::Lambda::Function", name);
    expect(propertiesOf(made)).toMatchObject({
      Runtime: "nodejs24.x",
      Architectures: ["arm64"],
      Handler: "index.handler",
      Timeout: FUNCTION_SECONDS[name],
    });
    const { Variables } = propertiesOf(made).Environment as { Variables: object };
    expect(Object.keys(Variables).sort()).toEqual(Object.values(SETTINGS).sort());
  });

  test("the worker has a disk for a file of 5 GB and for the indexes beside it", () => {
    const [, worker] = named(resources, "AWS::Lambda::Function", "worker");
    expect(propertiesOf(worker).EphemeralStorage).toEqual({ Size: 8192 });
  });

  test("there is none but ours, and each keeps its log for a month", () => {
    template.resourceCountIs("AWS::Lambda::Function", FUNCTIONS.length);
    for (const name of FUNCTIONS) {
      const [logId, log] = named(resources, "AWS::Logs::LogGroup", name);
      expect(propertiesOf(log)).toMatchObject({ RetentionInDays: 30 });
      const [, made] = named(resources, "AWS::Lambda::Function", name);
      expect(propertiesOf(made).LoggingConfig).toMatchObject({ LogGroup: { Ref: logId } });
    }
    for (const log of Object.values(template.findResources("AWS::Logs::LogGroup")))
      expect(propertiesOf(log).RetentionInDays).toBeGreaterThan(0);
  });
});

describe("queues", () => {
  test.each(["ingest", "worker", "publish"] as const)(
    "%s has dead letters of its kind and outlasts its function",
    (name) => {
      const fifo = name === "publish" ? true : undefined;
      const [id, queue] = named(resources, "AWS::SQS::Queue", name, /dead/);
      const [deadId, dead] = named(resources, "AWS::SQS::Queue", `${name}dead`);
      const redrive = { maxReceiveCount: MAX_RECEIVES, deadLetterTargetArn: { "Fn::GetAtt": [deadId, "Arn"] } };
      expect(propertiesOf(queue)).toMatchObject({ RedrivePolicy: redrive, SqsManagedSseEnabled: true });
      expect(propertiesOf(queue).FifoQueue).toBe(fifo);
      expect(propertiesOf(dead).FifoQueue).toBe(fifo);
      expect(propertiesOf(dead).MessageRetentionPeriod).toBe(14 * 24 * 3600);
      expect(propertiesOf(queue).VisibilityTimeout).toBeGreaterThanOrEqual(FUNCTION_SECONDS[name]);
      template.hasResourceProperties("AWS::Lambda::EventSourceMapping", {
        EventSourceArn: { "Fn::GetAtt": [id, "Arn"] },
        FunctionResponseTypes: ["ReportBatchItemFailures"],
      });
    },
  );

  test("a publisher that died holds up its repo no longer than it could have run", () => {
    const [, queue] = named(resources, "AWS::SQS::Queue", "publish", /dead/);
    expect(propertiesOf(queue).VisibilityTimeout).toBeLessThanOrEqual(FUNCTION_SECONDS.publish + 30);
    expect(propertiesOf(queue).ContentBasedDeduplication).not.toBe(true);
  });

  test("all refuse what is not encrypted on the way", () => {
    const denied = statementsOf(template, "AWS::SQS::QueuePolicy").filter((one) => one.Effect === "Deny");
    expect(denied).toHaveLength(6);
    for (const one of denied) expect(one.Condition).toEqual({ Bool: { "aws:SecureTransport": "false" } });
  });

  test("what polls leaves a new account's ten executions one for the requests", () => {
    const mappings = Object.values(template.findResources("AWS::Lambda::EventSourceMapping"));
    const most = mappings.map((one) => propertiesOf(one).ScalingConfig as { MaximumConcurrency: number });
    expect(most.reduce((sum, { MaximumConcurrency }) => sum + MaximumConcurrency, 0)).toBeLessThanOrEqual(9);
  });
});

describe("the bucket", () => {
  const [id, bucket] = named(resources, "AWS::S3::Bucket", "Bucket");

  test("tells of uploads below incoming/ alone, and not of ingest's own copies", () => {
    const { QueueConfigurations, ...others } = propertiesOf(bucket).NotificationConfiguration as {
      QueueConfigurations: { Event: string; Filter: object }[];
    };
    expect(others).toEqual({});
    expect(QueueConfigurations.map((one) => one.Event).sort()).toEqual([
      "s3:ObjectCreated:CompleteMultipartUpload",
      "s3:ObjectCreated:Put",
    ]);
    for (const { Filter } of QueueConfigurations)
      expect(Filter).toEqual({ S3Key: { Rules: [{ Name: "prefix", Value: "incoming/" }] } });
    const [policyId] = named(resources, "AWS::SQS::QueuePolicy", "ingest", /dead/);
    expect(bucket).toHaveProperty("DependsOn", expect.arrayContaining([policyId]));
  });

  test("is private, kept when the stack goes, and forgets what nobody finished", () => {
    const closed = ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"];
    expect(propertiesOf(bucket).PublicAccessBlockConfiguration).toEqual(
      Object.fromEntries(closed.map((name) => [name, true])),
    );
    expect(bucket).toMatchObject({ DeletionPolicy: "Retain", UpdateReplacePolicy: "Retain" });
    expect(propertiesOf(bucket).LifecycleConfiguration).toEqual({
      Rules: [
        expect.objectContaining({ Prefix: "incoming/", ExpirationInDays: 2, Status: "Enabled" }),
        expect.objectContaining({ AbortIncompleteMultipartUpload: { DaysAfterInitiation: 2 }, Status: "Enabled" }),
      ],
    });
    const denied = statementsOf(template, "AWS::S3::BucketPolicy").filter((one) => one.Effect === "Deny");
    expect(denied).toMatchObject([{ Action: "s3:*", Condition: { Bool: { "aws:SecureTransport": "false" } } }]);
  });

  test("is read by the distribution alone, which may list so that a missing object is a 404", () => {
    const allowed = statementsOf(template, "AWS::S3::BucketPolicy").filter((one) => one.Effect === "Allow");
    expect(allowed).toHaveLength(1);
    expect(allowed[0]?.Action).toEqual(["s3:GetObject", "s3:ListBucket"]);
    expect(allowed[0]?.Principal).toEqual({ Service: "cloudfront.amazonaws.com" });
    expect(JSON.stringify(allowed[0]?.Condition)).toMatch(/AWS:SourceArn.*distribution/);
    expect(JSON.stringify(allowed[0]?.Resource)).toContain(id);
  });
});

test("the table has the two keys, costs nothing at rest, and is kept", () => {
  template.hasResource("AWS::DynamoDB::Table", {
    DeletionPolicy: "Retain",
    Properties: {
      BillingMode: "PAY_PER_REQUEST",
      DeletionProtectionEnabled: true,
      KeySchema: [
        { AttributeName: TABLE_KEYS.partition, KeyType: "HASH" },
        { AttributeName: TABLE_KEYS.sort, KeyType: "RANGE" },
      ],
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
    },
  });
});

test("the key that seals secrets turns every year, and is kept", () => {
  template.hasResource("AWS::KMS::Key", { DeletionPolicy: "Retain", Properties: { EnableKeyRotation: true } });
});

describe("the edge", () => {
  test("asks the bucket first, then the functions, for the paths of clients alone", () => {
    template.hasResourceProperties("AWS::CloudFront::Distribution", {
      DistributionConfig: Match.objectLike({
        CacheBehaviors: ["apt", "yum", "dir", "blobs"].map((root) =>
          Match.objectLike({
            PathPattern: `/${root}/*`,
            Compress: false,
            FunctionAssociations: ["viewer-request", "viewer-response"].map((EventType) =>
              Match.objectLike({ EventType }),
            ),
          }),
        ),
        OriginGroups: Match.objectLike({
          Items: [Match.objectLike({ FailoverCriteria: { StatusCodes: { Items: [403, 404], Quantity: 2 } } })],
        }),
      }),
    });
    template.hasResourceProperties("AWS::CloudFront::OriginRequestPolicy", {
      OriginRequestPolicyConfig: Match.objectLike({
        HeadersConfig: { HeaderBehavior: "whitelist", Headers: ["x-packhouse-path"] },
      }),
    });
  });

  test("keeps no error for long, and lets no browser run users' bytes", () => {
    const [, made] = named(resources, "AWS::CloudFront::Distribution", "Distribution");
    const { CustomErrorResponses } = propertiesOf(made).DistributionConfig as {
      CustomErrorResponses: { ErrorCode: number; ErrorCachingMinTTL: number }[];
    };
    expect(CustomErrorResponses.map((one) => one.ErrorCode)).toEqual(expect.arrayContaining([403, 404, 503]));
    for (const one of CustomErrorResponses) expect(one.ErrorCachingMinTTL).toBeLessThanOrEqual(1);
    template.hasResourceProperties("AWS::CloudFront::ResponseHeadersPolicy", {
      ResponseHeadersPolicyConfig: Match.objectLike({
        SecurityHeadersConfig: {
          ContentTypeOptions: { Override: true },
          ContentSecurityPolicy: { ContentSecurityPolicy: "sandbox", Override: true },
        },
      }),
    });
  });

  test("routes by whole segments: files for clients, api for all else", () => {
    const routes = Object.values(template.findResources("AWS::ApiGatewayV2::Route")).map(
      (one) => propertiesOf(one).RouteKey,
    );
    expect(routes.sort()).toEqual([
      "$default",
      ...["apt", "blobs", "dir", "pointers", "yum"].map((root) => `ANY /${root}/{path+}`),
    ]);
  });

  test("a name of the team's own is what clients are told", () => {
    const certificateArn = "arn:aws:acm:us-east-1:111122223333:certificate/x";
    const own = new PackhouseStack(new App(), "Own", {
      ...STACK_PARTS,
      domain: { name: "packages.example.org", certificateArn },
    });
    Template.fromStack(own).hasResourceProperties("AWS::Lambda::Function", {
      Environment: { Variables: Match.objectLike({ [SETTINGS.publicUrl]: "https://packages.example.org" }) },
    });
  });
});

describe("alarms", () => {
  test("ring for the dead letters of every queue and the errors of every function", () => {
    const alarms = Object.values(template.findResources("AWS::CloudWatch::Alarm")).map(propertiesOf);
    const watched = alarms.map((one) => `${one.MetricName} ${JSON.stringify(one.Dimensions)}`).join("\n");
    for (const name of ["ingest", "worker", "publish"]) {
      const [deadId] = named(resources, "AWS::SQS::Queue", `${name}dead`);
      expect(watched).toMatch(new RegExp(`ApproximateNumberOfMessagesVisible .*${deadId}`));
    }
    for (const name of FUNCTIONS) {
      const [id] = named(resources, "AWS::Lambda::Function", name);
      expect(watched).toMatch(new RegExp(`Errors .*${id}`));
    }
    for (const one of alarms) expect(one.AlarmActions).toHaveLength(1);
  });

  test("reach the topic, whose policy lets CloudWatch in", () => {
    const allowed = statementsOf(template, "AWS::SNS::TopicPolicy").filter((one) => one.Effect === "Allow");
    expect(allowed).toMatchObject([{ Action: "sns:Publish", Principal: { Service: "cloudwatch.amazonaws.com" } }]);
  });
});

describe("cdk-nag", () => {
  test("finds nothing that was not answered with a reason", () => {
    const { violations } = new AwsSolutionsChecks().validateScope(stack);
    expect(violations.map((one) => `${one.ruleName} ${one.violatingResources.map((at) => at.constructPath)}`)).toEqual(
      [],
    );
    const reasons = stack.node
      .findAll()
      .flatMap(({ node }) => node.metadata.filter((entry) => entry.type === "aws:cdk:acknowledged-rules"))
      .flatMap((entry) => Object.values(entry.data));
    expect(reasons.length).toBeGreaterThan(5);
    for (const reason of reasons) expect(String(reason).length).toBeGreaterThan(30);
  });

  test("would find a queue that takes plain HTTP", () => {
    const other = new Stack(new App(), "Other");
    new Queue(other, "Plain");
    const { violations } = new AwsSolutionsChecks().validateScope(other);
    expect(violations.map((one) => one.ruleName)).toContain("AwsSolutions-SQS4");
  });
});
