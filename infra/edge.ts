import { Duration, Stack, Validations } from "aws-cdk-lib";
import { Certificate } from "aws-cdk-lib/aws-certificatemanager";
import {
  AccessLevel,
  AllowedMethods,
  type BehaviorOptions,
  CachePolicy,
  CacheQueryStringBehavior,
  Function as CloudFrontFunction,
  Distribution,
  FunctionCode,
  FunctionEventType,
  FunctionRuntime,
  HttpVersion,
  OriginRequestHeaderBehavior,
  OriginRequestPolicy,
  OriginRequestQueryStringBehavior,
  ResponseHeadersPolicy,
  SecurityPolicyProtocol,
  ViewerProtocolPolicy,
} from "aws-cdk-lib/aws-cloudfront";
import { HttpOrigin, OriginGroup, S3BucketOrigin } from "aws-cdk-lib/aws-cloudfront-origins";
import type { IBucket } from "aws-cdk-lib/aws-s3";
import { Construct } from "constructs";
import type { Stored } from "./data.ts";
import type { Http } from "./http.ts";

export type EdgeProps = {
  readonly stored: Stored;
  readonly http: Http;
  readonly code: string;
  readonly domain?: { readonly name: string; readonly certificateArn: string };
};

/** Where clients of repositories read. `pointers` is none of them: no client names a pointer by its key. */
const CLIENT_ROOTS = ["apt", "yum", "dir", "blobs"] as const;

/** The path as the client asked for it, which the edge function writes and `files` reads. */
const PATH_HEADER = "x-packhouse-path";

/** CloudFront would keep an error for ten seconds: a repo is read the moment it is made. */
const ERROR_SECONDS = 1;
const ERRORS = [400, 403, 404, 405, 500, 502, 503, 504];

/** The one host that everybody asks. */
export class Edge extends Construct {
  /** Without a slash at its end. */
  readonly url: string;
  readonly distribution: Distribution;

  constructor(scope: Construct, id: string, props: EdgeProps) {
    super(scope, id);
    const { name: domainName, certificateArn } = props.domain ?? {};
    const { region, urlSuffix } = Stack.of(this);
    const functions = new HttpOrigin(`${props.http.api.apiId}.execute-api.${region}.${urlSuffix}`, {
      // As long as the HTTP API waits itself: `files` may wait 25 s for a copy.
      readTimeout: Duration.seconds(30),
    });
    const clients = this.clients(props, functions);
    this.distribution = new Distribution(this, "Distribution", {
      comment: "Packhouse",
      httpVersion: HttpVersion.HTTP2_AND_3,
      defaultBehavior: {
        origin: functions,
        allowedMethods: AllowedMethods.ALLOW_ALL,
        cachePolicy: CachePolicy.CACHING_DISABLED,
        originRequestPolicy: OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
        // Never a redirect: a token sent in the clear must not work the second time.
        viewerProtocolPolicy: ViewerProtocolPolicy.HTTPS_ONLY,
      },
      additionalBehaviors: Object.fromEntries(CLIENT_ROOTS.map((root) => [`/${root}/*`, clients])),
      errorResponses: ERRORS.map((httpStatus) => ({ httpStatus, ttl: Duration.seconds(ERROR_SECONDS) })),
      ...(domainName &&
        certificateArn && {
          domainNames: [domainName],
          certificate: Certificate.fromCertificateArn(this, "Certificate", certificateArn),
          minimumProtocolVersion: SecurityPolicyProtocol.TLS_V1_2_2021,
        }),
    });
    this.url = `https://${domainName ?? this.distribution.distributionDomainName}`;
    this.acknowledge(props.domain !== undefined);
  }

  /** From the bucket; what it does not have, from `files`, which gets the rewritten path and the header. */
  private clients({ stored, code }: EdgeProps, functions: HttpOrigin): BehaviorOptions {
    const rewrite = new CloudFrontFunction(this, "Rewrite", {
      code: FunctionCode.fromInline(code),
      runtime: FunctionRuntime.JS_2_0,
    });
    // CDK's own class and interface differ in what exactOptionalPropertyTypes looks at.
    const bucket = stored.bucket as IBucket;
    return {
      origin: new OriginGroup({
        // It may list, so that what is not there is 404 and not 403.
        primaryOrigin: S3BucketOrigin.withOriginAccessControl(bucket, {
          originAccessLevels: [AccessLevel.READ, AccessLevel.LIST],
        }),
        fallbackOrigin: functions,
        fallbackStatusCodes: [403, 404],
      }),
      allowedMethods: AllowedMethods.ALLOW_GET_HEAD,
      viewerProtocolPolicy: ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
      // Indexes are compressed already, and their bytes are signed.
      compress: false,
      cachePolicy: new CachePolicy(this, "AsToldByOrigin", {
        comment: "Packhouse: as long as Cache-Control says, by path alone",
        minTtl: Duration.seconds(0),
        defaultTtl: Duration.seconds(0),
        maxTtl: Duration.days(365),
        queryStringBehavior: CacheQueryStringBehavior.none(),
      }),
      originRequestPolicy: new OriginRequestPolicy(this, "WithPath", {
        comment: "Packhouse: the path as it was asked for",
        headerBehavior: OriginRequestHeaderBehavior.allowList(PATH_HEADER),
        queryStringBehavior: OriginRequestQueryStringBehavior.none(),
      }),
      responseHeadersPolicy: new ResponseHeadersPolicy(this, "UserBytes", {
        comment: "Packhouse: bytes of users are not run by browsers",
        securityHeadersBehavior: {
          contentTypeOptions: { override: true },
          contentSecurityPolicy: { contentSecurityPolicy: "sandbox", override: true },
        },
      }),
      // The same one for both: a file's name is in the path, and the bucket knows blobs by hash alone.
      functionAssociations: [FunctionEventType.VIEWER_REQUEST, FunctionEventType.VIEWER_RESPONSE].map((eventType) => ({
        function: rewrite,
        eventType,
      })),
    };
  }

  private acknowledge(ownDomain: boolean): void {
    const reasons: Record<string, string> = {
      "Annotation::@aws-cdk/aws-cloudfront-origins:listBucketSecurityRisk":
        "The bucket stands behind four prefixes only, never at the root, and no query string reaches it: nobody can list.",
      "AwsSolutions-CFR1": "Packages are for the team's machines wherever they run: no country is shut out.",
      "AwsSolutions-CFR2":
        "A web application firewall costs per month whether anybody asks or not; a team that has one attaches it.",
      "AwsSolutions-CFR3":
        "Downloads are counted by CloudFront's metrics; a log of every client's address is a team's own decision.",
      ...(!ownDomain && {
        "AwsSolutions-CFR4": "CloudFront's own certificate sets the oldest protocol; with domainName it is TLS 1.2.",
      }),
    };
    for (const [id, reason] of Object.entries(reasons)) Validations.of(this.distribution).acknowledge({ id, reason });
  }
}
