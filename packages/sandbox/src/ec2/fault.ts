/** An answer that EC2 (or SSM) gives instead of a result. */
export class Ec2Fault extends Error {
  readonly code: string;
  readonly status: number;

  constructor(code: string, message: string = code, status: number = statusOf(code)) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

/** HTTP statuses as seen in the wild; `DryRunOperation` as 412 is what other stand-ins use. */
const STATUSES: Readonly<Record<string, number>> = {
  DryRunOperation: 412,
  UnauthorizedOperation: 403,
  AuthFailure: 401,
  RequestLimitExceeded: 503,
  ServiceUnavailable: 503,
  Unavailable: 503,
  InsufficientInstanceCapacity: 500,
  InsufficientHostCapacity: 500,
  InternalError: 500,
  InternalFailure: 500,
  ServerInternal: 500,
};

function statusOf(code: string): number {
  return STATUSES[code] ?? 400;
}
