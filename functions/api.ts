import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from "aws-lambda";
import { context } from "./context.ts";
import { appOf } from "./http/app.ts";
import { requestOf, resultOf } from "./http/lambda.ts";

const app = appOf(context);

/** The HTTP API's `$default` route: all surfaces. */
export async function handler(event: APIGatewayProxyEventV2): Promise<APIGatewayProxyStructuredResultV2> {
  return resultOf(await app.fetch(requestOf(event)));
}
