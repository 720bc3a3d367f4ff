import {
  InvalidSpecError,
  NoCapacityError,
  ProvisionError,
  RateLimitedError,
  TransientError,
  UnauthorizedError,
} from "@grp/core";
import {
  type EndCode,
  endCodes,
  lacksCredentials,
  lacksHost,
  type RefusalReach,
  refusalCodes,
} from "./error-codes.ts";

/**
 * RunInstances' request bucket holds 5 and refills at 2 a second, per account and region: 2.5 s fill an empty one. Other
 * calls refill faster. https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
 */
export const THROTTLED_RETRY_AFTER_MS = 2_500;

/** Longest piece of EC2's own message that we keep; some end in a kilobyte of encoded authorization details. */
const MAX_MESSAGE_LENGTH = 300;

/**
 * EC2's code without the `Client.` or `Server.` that some answers put before it; where no answer came, Node's own code
 * (the SDK gives ECONNRESET the name TimeoutError).
 */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const nodeCode = (error as NodeJS.ErrnoException).code;
  if (nodeCode && ["Error", "TimeoutError"].includes(error.name)) return nodeCode;
  return error.name.replace(/^(Client|Server)\./, "");
}

function statusOf(error: unknown): number | undefined {
  const metadata = (error as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata;
  return metadata?.httpStatusCode;
}

/** How far a refusal for want of room reaches; undefined for every other error. */
export function refusalReach(code: string | undefined): RefusalReach | undefined {
  return code === undefined ? undefined : refusalCodes.get(code);
}

/** Sorts whatever the SDK threw into our classes: by code, else by HTTP status; no answer at all is transient. */
export function sortError(error: unknown, doing: string, signal?: AbortSignal): ProvisionError {
  if (error instanceof ProvisionError) return error;
  if (signal?.aborted) return new TransientError(`${doing}: aborted`, { code: "aborted", cause: error });
  const code = codeOf(error);
  const details = { cause: error, ...(code === undefined ? {} : { code }) };
  const text = error instanceof Error ? error.message.slice(0, MAX_MESSAGE_LENGTH) : String(error);
  const what = lacksCredentials(code) ? "no valid AWS credentials could be had: " : "";
  const message = `${doing}: ${what}${code ?? "error"}: ${text}`;
  if (refusalReach(code)) return new NoCapacityError(message, { ...details, waitsForHost: lacksHost(code) });
  switch ((code && endCodes.get(code)) || classOfStatus(statusOf(error))) {
    case "invalid-spec":
      return new InvalidSpecError(message, details);
    case "unauthorized":
      return new UnauthorizedError(message, details);
    case "rate-limited":
      return new RateLimitedError(message, {
        ...details,
        retryAfterMs: THROTTLED_RETRY_AFTER_MS,
        isShared: true,
      });
    case "transient":
      return new TransientError(message, details);
  }
}

/** A code nobody has listed yet. */
function classOfStatus(status: number | undefined): EndCode {
  if (status === undefined || status >= 500) return "transient";
  if (status === 401 || status === 403) return "unauthorized";
  if (status === 408) return "transient";
  if (status === 429) return "rate-limited";
  return status >= 400 ? "invalid-spec" : "transient";
}
