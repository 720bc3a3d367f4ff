import {
  type Demand,
  demandJobId,
  demandKey,
  type Instance,
  launchId,
  type ProviderName,
  runnerName,
  type Scope,
  scopeKey,
  type Ticket,
} from "@grp/core";
import { createSelfSigned } from "../../../../packages/sandbox/src/machines/certificate.ts";
import { signIdentity } from "../../../../packages/sandbox/src/machines/identity.ts";
import { post, type TestAnswer, type TestIngress } from "./ingress.ts";

/** Signs identity documents here, as AWS does there. */
export const AWS = createSelfSigned("AWS of the tests", Date.now());

export const SCOPE: Scope = { kind: "repository", owner: "acme", repository: "app" };
const PLACE = { region: "us-east-1", accountId: "123456789012" };

export interface LaunchOptions {
  readonly size?: number;
  readonly provider?: ProviderName;
  readonly runnerClass?: string;
  /** False while the provider's answer is outstanding. */
  readonly isAnswered?: boolean;
  /** Of its demands; a second without it. */
  readonly queuedAgoMs?: number;
  readonly scope?: Scope;
  /** Its only demand's, with the generation that it is launched for; one of its own unless told otherwise. */
  readonly demand?: Demand;
}

/** A launch as the worker writes it down, with a demand for each of its machines. */
export interface TestLaunch {
  readonly launchId: string;
  readonly scope: Scope;
  readonly runnerClass: string;
  readonly runnerNames: readonly string[];
  readonly instances: readonly Instance[];
  readonly demands: readonly Demand[];
  /** What its machines carry. */
  readonly ticket: Ticket;
}

let lastId = 0;

export async function launch(ingress: TestIngress, options: LaunchOptions = {}): Promise<TestLaunch> {
  const { size = 1, provider = "ec2", isAnswered = true, scope = SCOPE } = options;
  const runnerClass = options.runnerClass ?? (provider === "ec2" ? "ubuntu-arm64" : "macOS-arm64");
  const now = Date.now();
  const demands = options.demand
    ? [options.demand]
    : Array.from({ length: size }, () => demandOf(runnerClass, scope, now - (options.queuedAgoMs ?? 1_000)));
  for (const demand of demands) await ingress.ledger.recordQueued(demand);
  const identity = {
    placeHolders: demands.map(({ key, generation }) => demandJobId(key, generation)),
    ...{ runnerClass, offeringDigest: "0123456789abcdef", renewal: 0 },
  };
  const id = launchId(identity);
  const runnerNames = demands.map((_demand, index) => runnerName("grp", id, index));
  await ingress.ledger.openLaunch({
    ...identity,
    ...{ launchId: id, provider, offeringIndex: 0, scope, runnerNames },
    ...{ ticketExpiresAt: now + 3_600_000, at: now },
  });
  const instances = demands.map((_demand, index) => instanceOf(id, provider, index, now));
  if (isAnswered) await ingress.ledger.recordLaunched(id, instances, now);
  const ticket: Ticket = {
    ...{ launchId: id, runnerClass, scope: scopeKey(scope), size, expiresAt: now + 3_600_000 },
  };
  return { launchId: id, scope, runnerClass, runnerNames, instances, demands, ticket };
}

export function demandOf(runnerClass: string, scope: Scope, queuedAt: number): Demand {
  lastId += 1;
  const { owner } = scope;
  const repository = scope.kind === "repository" ? scope.repository : "app";
  return {
    ...{ version: 1, key: demandKey(lastId), workflowJobId: lastId, runId: 1, runAttempt: 1 },
    ...{ owner, repository, scope, runnerClass, labels: [runnerClass] },
    ...{ generation: 1, offeringIndex: 0, queuedAt, receivedAt: queuedAt, deliveryId: "d" },
    dryRun: false,
  };
}

function instanceOf(id: string, provider: ProviderName, index: number, now: number): Instance {
  const base = { provider, launchId: id, state: "running", launchedAt: now } as const;
  const instanceId = `${provider === "ec2" ? "i-" : ""}${id.slice(2, 18)}${index}`;
  return provider === "ec2" ? { ...base, instanceId, ...PLACE } : { ...base, instanceId };
}

/** What the instance's metadata service gives; `changes` are what AWS would say of another machine. */
export function identityOf(
  instance: Pick<Instance, "instanceId" | "launchedAt">,
  changes: { signer?: typeof AWS; [field: string]: unknown } = {},
): { identityDocument: string; identitySignature: string } {
  const { signer = AWS, ...facts } = changes;
  const machine = { ...PLACE, ...instance, architecture: "arm64", ...facts };
  const { document, rsa2048 } = signIdentity(machine as Parameters<typeof signIdentity>[0], signer);
  return { identityDocument: document, identitySignature: rsa2048.replaceAll("\n", "") };
}

export interface ClaimOptions {
  /** The bearer text; of the launch's ticket unless told otherwise. Null: no header at all. */
  readonly ticket?: string | null;
  readonly instance?: Pick<Instance, "instanceId" | "launchedAt">;
  /** Over the usual body; as it stands if it is text. */
  readonly body?: object | string;
  readonly accept?: string;
  /** The machine hangs up. */
  readonly signal?: AbortSignal;
}

/** As the boot script does it. */
export function claim(
  ingress: TestIngress,
  launched: TestLaunch,
  options: ClaimOptions = {},
): Promise<TestAnswer> {
  const { instance = launched.instances[0] as Instance, ticket, body } = options;
  const isEc2 = instance.instanceId.startsWith("i-");
  const usual = {
    instanceId: instance.instanceId,
    os: isEc2 ? "linux" : "macos",
    arch: "arm64",
    ...(isEc2 ? identityOf(instance) : {}),
  };
  const text = typeof body === "string" ? body : JSON.stringify({ ...usual, ...body });
  const headers = {
    "content-type": "application/json",
    accept: options.accept ?? "application/json",
    authorization: ticket === null ? null : `Bearer ${ticket ?? ingress.signer.sign(launched.ticket)}`,
  };
  return post(`${ingress.url}/claims`, text, headers, options.signal);
}

export function report(ingress: TestIngress, ticket: string, body: object): Promise<TestAnswer> {
  return post(`${ingress.url}/claims/report`, JSON.stringify(body), {
    "content-type": "application/json",
    authorization: `Bearer ${ticket}`,
  });
}
