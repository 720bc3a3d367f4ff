/**
 * EC2's error codes and what each means for us. `after` says how far a refusal reaches, that is, where the walk over an
 * offering's placements goes on: the next pair of subnet and type, the next type, or nowhere in this offering.
 * Sources: https://docs.aws.amazon.com/ec2/latest/devguide/errors-overview.html, and the codes that
 * karpenter-provider-aws counts as unfulfillable (pkg/errors).
 */
export type EndCode = "invalid-spec" | "unauthorized" | "rate-limited" | "transient";
export type RefusalReach = "pair" | "type" | "offering";

/**
 * No valid credentials to sign with. The SDK says so too when the agent or the instance metadata that hands them out
 * refuses for a moment; who has none at all is told after the last try.
 */
const CREDENTIALS_CODES = [
  "CredentialsProviderError",
  "TokenProviderError",
  "ExpiredToken",
  "ExpiredTokenException",
] as const;

const END_CODES = {
  "invalid-spec": [
    "InvalidAMIID.NotFound",
    "InvalidAMIID.Unavailable",
    "InvalidAMIID.Malformed",
    "InvalidParameter",
    "InvalidParameterValue",
    "InvalidParameterCombination",
    "InvalidUserData.Malformed",
    "MissingParameter",
    "UnknownParameter",
    "InvalidSubnetID.NotFound",
    "InvalidGroup.NotFound",
    "InvalidInstanceID.Malformed",
    "ParameterNotFound",
    "ParameterVersionNotFound",
  ],
  unauthorized: [
    "UnauthorizedOperation",
    "AuthFailure",
    "OptInRequired",
    "PendingVerification",
    "Blocked",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
    "AccessDenied",
    "AccessDeniedException",
  ],
  "rate-limited": [
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
  ],
  transient: [
    ...CREDENTIALS_CODES,
    // Eventual consistency: right after a launch the instance is not known everywhere yet.
    "InvalidInstanceID.NotFound",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "ServerInternal",
    "ServiceUnavailable",
    "Unavailable",
    "RequestTimeout",
    "RequestTimeoutException",
    // A clock that is off: the SDK corrects itself by the answer's Date and signs the next call right.
    "RequestExpired",
    "RequestTimeTooSkewed",
    // Handled before these are read; here they mean that the tokens' owner could not be told.
    "IdempotentParameterMismatch",
    "IdempotentInstanceTerminated",
  ],
} as const satisfies Record<EndCode, readonly string[]>;

/** No dedicated host can take the machine. A mac's is scrubbed after each, for up to 4.5 hours. */
const HOST_CODES = [
  "InsufficientHostCapacity",
  "InsufficientCapacityOnHost",
  "IncompatibleHostRequirements",
  "UnavailableHostRequirements",
] as const;

const REFUSAL_CODES = {
  pair: [
    ...HOST_CODES,
    "InsufficientInstanceCapacity",
    "InsufficientCapacity",
    "UnfulfillableCapacity",
    "SpotMaxPriceTooLow",
    "InsufficientFreeAddressesInSubnet",
    "ReservationCapacityExceeded",
    // Not offered in this zone, or type and image don't go together: a fault only if every pair says so.
    "Unsupported",
    "UnsupportedOperation",
  ],
  // Counted per family of types and region: another subnet is no help, another type may be.
  type: ["VcpuLimitExceeded", "InstanceLimitExceeded", "HostLimitExceeded"],
  offering: [
    "MaxSpotInstanceCountExceeded",
    "MaxFleetCountExceeded",
    "ResourceCountExceeded",
    "ResourceLimitExceeded",
    "VolumeLimitExceeded",
    "MaxIOPSLimitExceeded",
    "NetworkInterfaceLimitExceeded",
  ],
} as const satisfies Record<RefusalReach, readonly string[]>;

/** Refusals that are faults of the configuration when no placement of the offering answers otherwise. */
export const UNSUPPORTED_CODES: readonly string[] = ["Unsupported", "UnsupportedOperation"];

export function lacksCredentials(code: string | undefined): boolean {
  return CREDENTIALS_CODES.some((one) => one === code);
}

export function lacksHost(code: string | undefined): boolean {
  return HOST_CODES.some((one) => one === code);
}

const byCode = <K extends string>(table: Record<K, readonly string[]>): ReadonlyMap<string, K> =>
  new Map((Object.keys(table) as K[]).flatMap((key) => table[key].map((code): [string, K] => [code, key])));

export const endCodes: ReadonlyMap<string, EndCode> = byCode<EndCode>(END_CODES);
export const refusalCodes: ReadonlyMap<string, RefusalReach> = byCode<RefusalReach>(REFUSAL_CODES);
