import { RemovalPolicy, Validations } from "aws-cdk-lib";
import { AccessLogFormat } from "aws-cdk-lib/aws-apigateway";
import {
  HttpApi,
  HttpMethod,
  HttpRoute,
  HttpRouteKey,
  HttpStage,
  LogGroupLogDestination,
} from "aws-cdk-lib/aws-apigatewayv2";
import { HttpLambdaIntegration } from "aws-cdk-lib/aws-apigatewayv2-integrations";
import { LogGroup, RetentionDays } from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import type { NodeFunction } from "./node-function.ts";

/** What clients of repositories read, as they ask for it and as the edge rewrites it: the business of `files`. */
export const FILE_ROOTS = ["apt", "yum", "dir", "blobs", "pointers"] as const;

/** No body, no query, no token: a path may be logged. */
const LOGGED = {
  requestId: "$context.requestId",
  at: "$context.requestTime",
  ip: "$context.identity.sourceIp",
  method: "$context.httpMethod",
  path: "$context.path",
  status: "$context.status",
  length: "$context.responseLength",
  latency: "$context.responseLatency",
  error: "$context.integrationErrorMessage",
};

export class Http extends Construct {
  readonly api: HttpApi;

  constructor(scope: Construct, id: string) {
    super(scope, id);
    this.api = new HttpApi(this, "Api", { createDefaultStage: false });
    const log = new LogGroup(this, "AccessLog", {
      retention: RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    new HttpStage(this, "Stage", {
      httpApi: this.api,
      stageName: "$default",
      autoDeploy: true,
      accessLogSettings: {
        destination: new LogGroupLogDestination(log),
        format: AccessLogFormat.custom(JSON.stringify(LOGGED)),
      },
    });
    Validations.of(this).acknowledge({
      id: "AwsSolutions-APIG4",
      reason:
        "Tokens are Packhouse's own (Bearer, Basic and two more spellings) and are checked in the function, by path.",
    });
  }

  /** Everything to `api`, but what clients of repositories read. */
  serve(functions: { readonly api: NodeFunction; readonly files: NodeFunction }): void {
    new HttpRoute(this, "Default", {
      httpApi: this.api,
      routeKey: HttpRouteKey.DEFAULT,
      integration: new HttpLambdaIntegration("ApiIntegration", functions.api.function),
    });
    const files = new HttpLambdaIntegration("FilesIntegration", functions.files.function);
    for (const root of FILE_ROOTS)
      this.api.addRoutes({ path: `/${root}/{path+}`, methods: [HttpMethod.ANY], integration: files });
  }
}
