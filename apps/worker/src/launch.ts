import {
  type Instance,
  InvalidSpecError,
  type LaunchOrder,
  LaunchSpentError,
  NoCapacityError,
  type Offering,
  ProvisionError,
  scopeKey,
  UnauthorizedError,
} from "@grp/core";
import type { LaunchRecord } from "@grp/ledger";
import type { Attempt, ProvisionOutcome } from "./attempt.ts";
import { providerOf, type WorkerContext } from "./context.ts";

/** Nothing runs under this launch id, for certain, and the ledger knows. */
export interface Refusal {
  /** `spent`: its machines have come and gone; the offering itself may have room. */
  readonly refusal: "no-capacity" | "spent";
  readonly error: Error;
}

/** A launch that the ledger holds open. `isNew`: no provider was ever asked for it. */
export interface OpenedLaunch {
  readonly launch: LaunchRecord;
  readonly offering: Offering;
  readonly isNew: boolean;
}

/**
 * Asks the provider, and writes its answer down. An error that leaves open whether a machine was started is thrown on
 * with the launch still open, so that the next try asks again under the same id.
 */
export async function callProvider(
  context: WorkerContext,
  attempt: Attempt,
  opened: OpenedLaunch,
): Promise<ProvisionOutcome | Refusal> {
  const { launch } = opened;
  if (launch.state === "launched") return describe(launch, launch.instances ?? []);
  const begunAt = context.now();
  try {
    const instances = await startMachines(context, attempt, opened);
    await context.ledger.recordLaunched(launch.launchId, instances, context.now());
    const sinceQueued = { provider: launch.provider, runnerClass: launch.runnerClass };
    context.metrics.launchLatency({ ...sinceQueued, ms: context.now() - attempt.demand.queuedAt });
    return describe(launch, instances, context.now() - begunAt);
  } catch (error) {
    count(context, launch, error);
    return sortRefusal(context, opened, error);
  }
}

async function startMachines(
  context: WorkerContext,
  attempt: Attempt,
  { launch, offering }: OpenedLaunch,
): Promise<readonly Instance[]> {
  const provider = providerOf(context, launch.provider);
  const order = composeOrder(context, attempt, { launch, offering });
  const instances = await provider.launch(order, attempt.work.signal);
  if (instances.length > 0) return instances;
  throw new NoCapacityError(`launch ${launch.launchId} started nothing`, { code: "none-started" });
}

/** The same bytes on every try, since all that goes in was written down when the launch was opened. */
function composeOrder(
  context: WorkerContext,
  { runnerClass }: Attempt,
  { launch, offering }: Pick<OpenedLaunch, "launch" | "offering">,
): LaunchOrder {
  const { launchId, scope, size, placement } = launch;
  const ticket = context.signer.sign({
    launchId,
    runnerClass: runnerClass.name,
    scope: scopeKey(scope),
    size,
    expiresAt: launch.ticketExpiresAt,
  });
  return {
    launchId,
    offering,
    runnerClass,
    scope,
    size,
    boot: {
      publicUrl: context.publicUrl,
      ticket,
      bootTimeoutMs: runnerClass.bootTimeout,
      idleTimeoutMs: runnerClass.idleTimeout,
      maxRuntimeMs: runnerClass.maxRuntime,
    },
    placement,
    recordPlacement: (text) => context.ledger.recordPlacement(launchId, text),
  };
}

/** What is certain goes into the ledger; a refusal for want of room is a value, all else is thrown on. */
async function sortRefusal(context: WorkerContext, opened: OpenedLaunch, error: unknown): Promise<Refusal> {
  const { launchId } = opened.launch;
  const fail = (kind: string, text: string) =>
    context.ledger.recordLaunchFailed(launchId, { at: context.now(), kind, text });
  if (error instanceof NoCapacityError) {
    await fail("no-capacity", error.message);
    return { refusal: "no-capacity", error };
  }
  if (error instanceof LaunchSpentError) {
    await fail("spent", error.message);
    return { refusal: "spent", error };
  }
  // An earlier try may have started a machine before the credentials or the catalog went bad: then it stays open.
  const isRejected = error instanceof InvalidSpecError || error instanceof UnauthorizedError;
  if (isRejected && opened.isNew) await fail(error.errorClass, error.message);
  throw error;
}

function count(context: WorkerContext, { provider, runnerClass }: LaunchRecord, error: unknown): void {
  const isSorted = error instanceof ProvisionError;
  context.metrics.provisioned({
    provider,
    runnerClass,
    outcome: "error",
    errorClass: isSorted ? error.errorClass : "bug",
    ...(isSorted && error.code !== undefined ? { code: error.code } : {}),
  });
}

function describe(launch: LaunchRecord, instances: readonly Instance[], launchMs?: number): ProvisionOutcome {
  return {
    kind: "launched",
    fields: {
      launchId: launch.launchId,
      offeringIndex: launch.offeringIndex,
      renewal: launch.renewal,
      instanceIds: instances.map((instance) => instance.instanceId),
      runnerNames: launch.runnerNames,
      ...(launchMs === undefined ? {} : { launchMs }),
    },
  };
}
