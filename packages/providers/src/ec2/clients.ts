import { EC2Client } from "@aws-sdk/client-ec2";
import { SSMClient } from "@aws-sdk/client-ssm";
import type { Pace } from "./pace.ts";

export interface ClientOptions {
  /** Where EC2 is, if not at AWS (`AWS_ENDPOINT_URL_EC2` is read by the SDK itself when this is absent). */
  readonly endpoint?: string | undefined;
  /** Where SSM is; the SDK reads `AWS_ENDPOINT_URL_SSM`. */
  readonly ssmEndpoint?: string | undefined;
  /** The SDK's own chain (environment, profile, web identity, instance) when absent. */
  readonly credentials?: { accessKeyId: string; secretAccessKey: string; sessionToken?: string } | undefined;
  /** For one call, answer included. RunInstances takes seconds at times; 30 s is far beyond what it needs. */
  readonly requestTimeoutMs?: number | undefined;
}

const DEFAULT_REQUEST_TIMEOUT_MS = 30_000;
const CONNECTION_TIMEOUT_MS = 5_000;

const silent = () => undefined;
/** The SDK would warn on the console, past our log. */
const SILENT_LOGGER = { trace: silent, debug: silent, info: silent, warn: silent, error: silent };

export interface Clients {
  /** Every call to EC2 goes through it. */
  readonly pace: Pace;
  ec2(region: string): EC2Client;
  ssm(region: string): SSMClient;
  destroy(): void;
}

/**
 * One client per region and service, made when first asked for. The SDK's retries are off (it would ask for
 * InsufficientInstanceCapacity three times in 0.2 s): the queue retries, by the class of the error.
 */
export function createClients(options: ClientOptions, pace: Pace): Clients {
  const config = (region: string, endpoint: string | undefined) => ({
    region,
    maxAttempts: 1,
    logger: SILENT_LOGGER,
    requestHandler: {
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      requestTimeout: options.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS,
      throwOnRequestTimeout: true,
    },
    ...(endpoint ? { endpoint } : {}),
    ...(options.credentials ? { credentials: options.credentials } : {}),
  });
  const ec2 = new Map<string, EC2Client>();
  const ssm = new Map<string, SSMClient>();
  return {
    pace,
    ec2: (region) => getOrMake(ec2, region, () => new EC2Client(config(region, options.endpoint))),
    ssm: (region) => getOrMake(ssm, region, () => new SSMClient(config(region, options.ssmEndpoint))),
    destroy() {
      for (const client of [...ec2.values(), ...ssm.values()]) client.destroy();
      ec2.clear();
      ssm.clear();
    },
  };
}

function getOrMake<T>(map: Map<string, T>, key: string, make: () => T): T {
  const known = map.get(key);
  if (known) return known;
  const made = make();
  map.set(key, made);
  return made;
}
