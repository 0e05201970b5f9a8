import { Duration, RemovalPolicy, Validations } from "aws-cdk-lib";
import { AttributeType, BillingMode, Table } from "aws-cdk-lib/aws-dynamodb";
import { Key } from "aws-cdk-lib/aws-kms";
import { BlockPublicAccess, Bucket, BucketEncryption, ObjectOwnership } from "aws-cdk-lib/aws-s3";
import { Construct } from "constructs";
import { INCOMING_PREFIX } from "../shared/objects/keys.ts";
import { TABLE_KEYS } from "../shared/settings.ts";

/** An upload that nobody finished is of no use to anyone after so long: longer than one in parts may take. */
const INCOMING_DAYS = 2;

/** What must outlive everything: table, bucket and the key that seals secrets. None goes with the stack. */
export class Stored extends Construct {
  readonly table: Table;
  readonly bucket: Bucket;
  readonly sealingKey: Key;

  constructor(scope: Construct, id: string) {
    super(scope, id);

    // No time to live: what expires is judged by its date when it is read, as the local table must do too.
    this.table = new Table(this, "Table", {
      partitionKey: { name: TABLE_KEYS.partition, type: AttributeType.STRING },
      sortKey: { name: TABLE_KEYS.sort, type: AttributeType.STRING },
      billingMode: BillingMode.PAY_PER_REQUEST,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      deletionProtection: true,
      removalPolicy: RemovalPolicy.RETAIN,
    });

    // No versions: blobs never change, pointers are made anew from commits, and what is collected as garbage shall be gone.
    this.bucket = new Bucket(this, "Bucket", {
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      encryption: BucketEncryption.S3_MANAGED,
      enforceSSL: true,
      versioned: false,
      removalPolicy: RemovalPolicy.RETAIN,
      lifecycleRules: [
        { id: "forget-uploads", prefix: INCOMING_PREFIX, expiration: Duration.days(INCOMING_DAYS) },
        { id: "abort-multipart", abortIncompleteMultipartUploadAfter: Duration.days(INCOMING_DAYS) },
      ],
    });
    Validations.of(this.bucket).acknowledge({
      id: "AwsSolutions-S1",
      reason:
        "Requests of clients come through CloudFront and those of functions are in their own logs; server access logs would " +
        "cost as many writes as there are downloads. CloudTrail data events are there for teams that must keep a record.",
    });

    this.sealingKey = new Key(this, "SealingKey", {
      description: "Packhouse: seals the signing keys of repositories",
      enableKeyRotation: true,
      removalPolicy: RemovalPolicy.RETAIN,
    });
  }
}
