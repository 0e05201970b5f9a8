import { Duration, Stack } from "aws-cdk-lib";
import { Alarm, ComparisonOperator, type IMetric, TreatMissingData } from "aws-cdk-lib/aws-cloudwatch";
import { SnsAction } from "aws-cdk-lib/aws-cloudwatch-actions";
import { PolicyStatement, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { Topic } from "aws-cdk-lib/aws-sns";
import { EmailSubscription } from "aws-cdk-lib/aws-sns-subscriptions";
import { Construct } from "constructs";
import { FUNCTIONS, type FunctionName } from "./bundle.ts";
import type { Http } from "./http.ts";
import { type Jobs, QUEUES } from "./jobs.ts";
import type { NodeFunction } from "./node-function.ts";

export type AlarmsProps = {
  readonly jobs: Jobs;
  readonly http: Http;
  readonly functions: Readonly<Record<FunctionName, NodeFunction>>;
  readonly email?: string;
};

/** A change that clients do not see for so long is not slow: it is stuck. */
const STUCK_MINUTES = 15;

/** What somebody must look at. Without an address nobody is told, but the alarms stand in CloudWatch. */
export class Alarms extends Construct {
  readonly topic: Topic;

  constructor(scope: Construct, id: string, props: AlarmsProps) {
    super(scope, id);
    // Names and numbers of alarms, no content: no key of our own, which CloudWatch would need to be let use.
    this.topic = new Topic(this, "Topic", { enforceSSL: true });
    // A policy of our own takes the place of the one that lets the account's alarms in.
    this.topic.addToResourcePolicy(
      new PolicyStatement({
        principals: [new ServicePrincipal("cloudwatch.amazonaws.com")],
        actions: ["sns:Publish"],
        resources: [this.topic.topicArn],
        conditions: { StringEquals: { "aws:SourceAccount": Stack.of(this).account } },
      }),
    );
    if (props.email) this.topic.addSubscription(new EmailSubscription(props.email));

    const period = Duration.minutes(5);
    for (const name of QUEUES) {
      this.alarm(
        `${name}DeadLetters`,
        props.jobs.deadLetters[name].metricApproximateNumberOfMessagesVisible({ period, statistic: "Maximum" }),
        `Messages of ${name} failed for good: read them and the function's log, then redrive them`,
      );
    }
    this.alarm(
      "publishStuck",
      props.jobs.queues.publish.metricApproximateAgeOfOldestMessage({ period, statistic: "Maximum" }),
      `Changes have not been published for ${STUCK_MINUTES} minutes`,
      STUCK_MINUTES * 60,
    );
    for (const name of FUNCTIONS) {
      const made = props.functions[name].function;
      this.alarm(`${name}Errors`, made.metricErrors({ period }), `The function ${name} failed or ran out of time`);
      this.alarm(
        `${name}Throttles`,
        made.metricThrottles({ period }),
        `The account's executions do not suffice for ${name}`,
      );
    }
    this.alarm("serverErrors", props.http.api.metricServerError({ period }), "Requests were answered with 5xx");
  }

  private alarm(id: string, metric: IMetric, alarmDescription: string, threshold = 1): void {
    const made = new Alarm(this, id, {
      metric,
      alarmDescription,
      threshold,
      evaluationPeriods: 1,
      comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: TreatMissingData.NOT_BREACHING,
    });
    made.addAlarmAction(new SnsAction(this.topic));
  }
}
