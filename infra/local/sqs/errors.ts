/**
 * Errors as SQS's JSON protocol tells them: a shape in `__type` and, for clients that knew the query protocol, its older code in
 * `x-amzn-query-error`. Names, codes and statuses are those of the service's model (client-sqs, awsQueryError traits).
 */
const ERRORS = {
  BatchEntryIdsNotDistinct: ["AWS.SimpleQueueService.BatchEntryIdsNotDistinct", 400],
  BatchRequestTooLong: ["AWS.SimpleQueueService.BatchRequestTooLong", 400],
  EmptyBatchRequest: ["AWS.SimpleQueueService.EmptyBatchRequest", 400],
  InvalidAddress: ["InvalidAddress", 404],
  InvalidAttributeName: ["InvalidAttributeName", 400],
  InvalidAttributeValue: ["InvalidAttributeValue", 400],
  InvalidBatchEntryId: ["AWS.SimpleQueueService.InvalidBatchEntryId", 400],
  InvalidMessageContents: ["InvalidMessageContents", 400],
  InvalidSecurity: ["InvalidSecurity", 403],
  MessageNotInflight: ["AWS.SimpleQueueService.MessageNotInflight", 400],
  PurgeQueueInProgress: ["AWS.SimpleQueueService.PurgeQueueInProgress", 403],
  QueueDoesNotExist: ["AWS.SimpleQueueService.NonExistentQueue", 400],
  QueueNameExists: ["QueueAlreadyExists", 400],
  ReceiptHandleIsInvalid: ["ReceiptHandleIsInvalid", 404],
  ResourceNotFoundException: ["ResourceNotFoundException", 404],
  TooManyEntriesInBatchRequest: ["AWS.SimpleQueueService.TooManyEntriesInBatchRequest", 400],
  UnsupportedOperation: ["AWS.SimpleQueueService.UnsupportedOperation", 400],
} as const;

/** Errors of AWS's common framework, which no service models. */
const COMMON = {
  InvalidParameterValue: ["InvalidParameterValueException", 400],
  MissingParameter: ["MissingRequiredParameterException", 400],
  SerializationException: ["SerializationException", 400],
  InvalidAction: ["InvalidActionException", 400],
  MissingAuthenticationToken: ["MissingAuthenticationTokenException", 403],
  SignatureDoesNotMatch: ["SignatureDoesNotMatchException", 403],
  InternalFailure: ["InternalFailureException", 500],
} as const;

export type SqsErrorName = keyof typeof ERRORS | keyof typeof COMMON;

export class SqsError extends Error {
  override readonly name = "SqsError";
  readonly is: SqsErrorName;

  constructor(is: SqsErrorName, message: string) {
    super(message);
    this.is = is;
  }

  get answer(): { status: number; type: string; queryCode: string; fault: "Sender" | "Receiver" } {
    if (isCommon(this.is)) {
      const [shape, status] = COMMON[this.is];
      const fault = status < 500 ? "Sender" : "Receiver";
      return { status, type: `com.amazon.coral.service#${shape}`, queryCode: this.is, fault };
    }
    const [queryCode, status] = ERRORS[this.is];
    return { status, type: `com.amazonaws.sqs#${this.is}`, queryCode, fault: "Sender" };
  }
}

function isCommon(name: SqsErrorName): name is keyof typeof COMMON {
  return name in COMMON;
}

export function invalidParameter(name: string, value: unknown, reason: string): SqsError {
  return new SqsError(
    "InvalidParameterValue",
    `Value ${String(value)} for parameter ${name} is invalid. Reason: ${reason}`,
  );
}

export function missingParameter(name: string): SqsError {
  return new SqsError("MissingParameter", `The request must contain the parameter ${name}.`);
}

export function noSuchQueue(): SqsError {
  return new SqsError("QueueDoesNotExist", "The specified queue does not exist.");
}
