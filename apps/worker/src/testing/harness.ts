import { once } from "node:events";
import {
  type Catalog,
  createTicketSigner,
  type Demand,
  demandKey,
  formatFault,
  type ProviderName,
  parseCatalog,
  type Scope,
} from "@grp/core";
import { createLedger, type Ledger } from "@grp/ledger";
import type { WorkContext } from "@grp/queue";
import { createRedis } from "@grp/runtime";
import { createFakeProvider, type FakeProvider } from "../../../../packages/providers/src/fake.ts";
import { startRedis, type TestRedis } from "../../../../test/support/redis.ts";
import type { Fields, WorkerContext } from "../context.ts";
import { createGatherer } from "../gatherer.ts";
import { createFakeGitHub, type FakeGitHub } from "./fake-github.ts";
import { createRecordingProducer, type RecordingProducer } from "./recording-producer.ts";

export const SCOPE: Scope = { kind: "repository", owner: "acme", repository: "app" };

const PLACE =
  "provider: ec2, region: us-east-1, image: { id: ami-0abc }, subnets: [subnet-a], securityGroups: [sg-a]";

export const OFFERING = `${PLACE}, instanceTypes: [t4g.large]`;

/** `linux`, `farm`: spot, then on-demand. `mac`: CodeMagic (one at a time), then EC2. */
export const CATALOG = readCatalog(`
version: 1
allow: { owners: [acme] }
codemagicTeams: { default: { maxConcurrentBuilds: 1 } }
classes:
  - name: linux
    labels: [linux]
    platform: { os: linux, arch: arm64 }
    maxRunners: 2
    offerings:
      - { ${OFFERING}, market: spot }
      - { ${OFFERING}, market: on-demand }
  - name: farm
    labels: [farm]
    platform: { os: linux, arch: arm64 }
    maxRunners: 500
    offerings:
      - { ${OFFERING}, market: spot }
      - { ${OFFERING}, market: on-demand }
  - name: mac
    labels: [mac]
    platform: { os: macos, arch: arm64 }
    maxRunners: 4
    maxRuntime: 110m
    offerings:
      - { provider: codemagic, app: app-1 }
      - { ${PLACE}, instanceTypes: [mac2.metal], host: { id: h-0abc } }
`);

export function readCatalog(text: string): Catalog {
  const verdict = parseCatalog(text, { env: {}, useCodemagic: true });
  if (!verdict.ok) throw new Error(verdict.faults.map((fault) => formatFault("catalog", fault)).join("\n"));
  return verdict.catalog;
}

export interface LogLine {
  readonly level: "info" | "warn" | "error";
  readonly message: string;
  readonly fields: Fields;
}

/** A worker's context on a real Redis, with a fake cloud and a fake GitHub, and a clock that a test moves. */
export interface Harness extends WorkerContext {
  readonly ledger: Ledger;
  readonly github: FakeGitHub;
  readonly producer: RecordingProducer;
  readonly ec2: FakeProvider;
  readonly codemagic: FakeProvider;
  readonly lines: readonly LogLine[];
  readonly clock: { now: number };
  /** `queued` of a new workflow job, as the ingress writes it down. */
  addDemand(overrides?: Partial<Demand>): Promise<Demand>;
  /** What a dead process' locks do after a while. */
  expireLocks(): Promise<void>;
  /** How long the lock would outlive the process that holds it. */
  lockLastsMs(name: string): Promise<number>;
  /** Another context on the same Redis and clouds. */
  with(overrides: Partial<WorkerContext>): WorkerContext;
}

export async function startHarness(): Promise<{
  redis: TestRedis;
  create(): Promise<Harness>;
  stop(): Promise<void>;
}> {
  const redis = await startRedis();
  const onError = (error: Error) => console.error(error.message);
  const client = createRedis(redis.url, { name: "grp-worker-test", onError });
  await once(client, "ready");
  return {
    redis,
    async create() {
      await client.flushall();
      return createHarness(client);
    },
    async stop() {
      client.disconnect();
      await redis.stop();
    },
  };
}

type RedisClient = Parameters<typeof createLedger>[0]["redis"];

function createHarness(client: RedisClient): Harness {
  const clock = { now: 1_800_000_000_000 };
  const now = () => clock.now;
  const lines: LogLine[] = [];
  const write = (level: LogLine["level"]) => (message: string, fields: Fields) => {
    lines.push({ level, message, fields });
  };
  const ledger = createLedger({ redis: client, now });
  const ec2 = createFakeProvider({ name: "ec2", now, endsAtOnce: true });
  const codemagic = createFakeProvider({ name: "codemagic", now, endsAtOnce: true });
  const context: WorkerContext = {
    catalog: CATALOG,
    installation: "grp",
    publicUrl: "https://grp.test",
    dryRun: false,
    ledger,
    producer: createRecordingProducer(),
    providers: new Map<ProviderName, FakeProvider>([
      ["ec2", ec2],
      ["codemagic", codemagic],
    ]),
    gatherer: createGatherer(),
    github: createFakeGitHub(),
    signer: createTicketSigner(["a ticket secret for tests"]),
    log: { info: write("info"), warn: write("warn"), error: write("error") },
    metrics: silentMetrics,
    now,
  };
  let lastId = 0;
  return {
    ...context,
    ledger,
    github: context.github as FakeGitHub,
    producer: context.producer as RecordingProducer,
    ec2,
    codemagic,
    lines,
    clock,
    async addDemand(overrides = {}) {
      lastId += 1;
      const times = { queuedAt: clock.now + lastId, receivedAt: clock.now + lastId };
      const demand = makeDemand({ workflowJobId: lastId, ...times, ...overrides });
      await ledger.recordQueued(demand);
      await ledger.markEnqueued(demand.key, clock.now);
      return demand;
    },
    async expireLocks() {
      const locks = await client.keys("{grp}:lock:*");
      if (locks.length > 0) await client.del(...locks);
    },
    lockLastsMs: (name) => client.pttl(`{grp}:lock:${name}`),
    with: (overrides) => ({ ...context, ...overrides }),
  };
}

/** Sets the hooks of a `describe`: one Redis for its tests, and for each a harness of its own. */
export function useHarness(give: (harness: Harness) => void): { create(): Promise<Harness> } {
  let server: Awaited<ReturnType<typeof startHarness>>;
  before(async () => {
    server = await startHarness();
  });
  after(() => server.stop());
  beforeEach(async () => give(await server.create()));
  return { create: () => server.create() };
}

const silentMetrics: WorkerContext["metrics"] = {
  provisioned: () => undefined,
  launchLatency: () => undefined,
  reaped: () => undefined,
  failed: () => undefined,
  unended: () => undefined,
  swept: () => undefined,
  sweepDuration: () => undefined,
  recovered: () => undefined,
};

export function makeDemand(overrides: Partial<Demand> = {}): Demand {
  const workflowJobId = overrides.workflowJobId ?? 1;
  return {
    version: 1,
    key: demandKey(workflowJobId),
    workflowJobId,
    runId: 1,
    runAttempt: 1,
    owner: "acme",
    repository: "app",
    scope: SCOPE,
    runnerClass: "linux",
    labels: ["linux"],
    generation: 1,
    offeringIndex: 0,
    queuedAt: 1_800_000_000_000,
    receivedAt: 1_800_000_000_000,
    deliveryId: "delivery-1",
    dryRun: false,
    ...overrides,
  };
}

/** The first try of a queue job that nobody stops. */
export function makeWork(overrides: Partial<WorkContext> = {}): WorkContext {
  return {
    jobId: "wfj-1",
    attempt: 1,
    isLastAttempt: false,
    leastRetryMs: 0,
    signal: new AbortController().signal,
    ...overrides,
  };
}
