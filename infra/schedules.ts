import { ArnFormat, Names, Stack } from "aws-cdk-lib";
import { PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { CfnScheduleGroup } from "aws-cdk-lib/aws-scheduler";
import { Construct } from "constructs";
import type { Jobs } from "./jobs.ts";

/** Where the functions' schedules lie (one an upstream), and the role that sends their messages. */
export class Schedules extends Construct {
  readonly groupName: string;
  readonly role: Role;
  /** Of each schedule of the group. */
  readonly anyOfGroup: string;

  constructor(scope: Construct, id: string, jobs: Jobs) {
    super(scope, id);
    const { account } = Stack.of(this);
    // A name that is known before it is made: else the role, which names the group, would wait for it in a circle.
    this.groupName = Names.uniqueResourceName(this, { maxLength: 64 });
    new CfnScheduleGroup(this, "Group", { name: this.groupName });
    const arn = (resource: string, resourceName: string) =>
      Stack.of(this).formatArn({
        service: "scheduler",
        resource,
        resourceName,
        arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
      });
    this.anyOfGroup = arn("schedule", `${this.groupName}/*`);
    this.role = new Role(this, "Role", {
      // Only schedules of this group: nobody else's may borrow the role.
      assumedBy: new ServicePrincipal("scheduler.amazonaws.com", {
        conditions: {
          StringEquals: { "aws:SourceAccount": account, "aws:SourceArn": arn("schedule-group", this.groupName) },
        },
      }),
    });
    this.role.addToPolicy(
      new PolicyStatement({
        actions: ["sqs:SendMessage"],
        resources: [jobs.queues.worker.queueArn, jobs.deadLetters.worker.queueArn],
      }),
    );
  }
}
