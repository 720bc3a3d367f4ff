import {
  type Instance,
  InvalidSpecError,
  type LaunchOrder,
  LaunchSpentError,
  type Leave,
  NoCapacityError,
  type Offering,
  ProvisionError,
  type RunnerClass,
  scopeKey,
  UnauthorizedError,
} from "@grp/core";
import type { LaunchRecord } from "@grp/ledger";
import { providerOf, type WorkerContext } from "./context.ts";
import { createLock, doAlone, type ELSEWHERE, type Lock } from "./exclusive.ts";
import type { Refusal } from "./share.ts";

/** The machines there are now, by place holder: fewer than wanted, where the provider had no room for more. */
export interface Started {
  readonly machines: ReadonlyMap<string, string>;
  readonly launchMs: number;
}

/** A launch that the ledger holds open. `isNew`: no provider was ever asked for it. */
export interface OpenedLaunch {
  readonly launch: LaunchRecord;
  readonly offering: Offering;
  readonly runnerClass: RunnerClass;
  readonly isNew: boolean;
  readonly leave?: Leave | undefined;
  /** Ours since it was opened. */
  readonly lock?: Lock;
}

/** Who asks the provider for this launch, alone. */
export function lockOf(launchId: string): Lock {
  return createLock(`launch:${launchId}`);
}

/**
 * Asks the provider, and writes its answer down. An error that leaves open whether a machine was started is thrown on
 * with the launch still open, so that the next try asks again under the same id; never two at a time, for each would
 * walk over the placements by itself and both might find room.
 */
export async function callProvider(
  context: WorkerContext,
  opened: OpenedLaunch,
  signal: AbortSignal,
): Promise<Started | Refusal | typeof ELSEWHERE> {
  const { launchId } = opened.launch;
  const lock = opened.lock ? { ...opened.lock, isOurs: true } : lockOf(launchId);
  return doAlone(context.ledger, lock, signal, async (mine) => {
    const begunAt = context.now();
    try {
      const instances = await startMachines(context, opened, mine);
      const machines = await context.ledger.recordLaunched(launchId, instances, context.now(), {
        isFirstTry: opened.isNew,
      });
      return { machines, launchMs: context.now() - begunAt };
    } catch (error) {
      count(context, opened.launch, error);
      return sortRefusal(context, opened, error);
    }
  });
}

async function startMachines(
  context: WorkerContext,
  opened: OpenedLaunch,
  signal: AbortSignal,
): Promise<readonly Instance[]> {
  const { launch } = opened;
  const instances = await providerOf(context, launch.provider).launch(composeOrder(context, opened), signal);
  if (instances.length > 0) return instances;
  throw new NoCapacityError(`launch ${launch.launchId} started nothing`, { code: "none-started" });
}

/** The same bytes on every try, since all that goes in was written down when the launch was opened. */
function composeOrder(
  context: WorkerContext,
  { runnerClass, launch, offering, leave }: OpenedLaunch,
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
    leave,
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
