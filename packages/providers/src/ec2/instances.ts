import {
  DescribeInstancesCommand,
  type Instance as Ec2Instance,
  type Filter,
  type Reservation,
} from "@aws-sdk/client-ec2";
import type { Instance } from "@grp/core";
import type { Clients } from "./clients.ts";
import { sortError } from "./errors.ts";
import { CLASS_TAG, LAUNCH_TAG, SCOPE_TAG } from "./run-request.ts";

/** EC2's most. Pages also put the call into the larger of the two throttle buckets. */
const PAGE_SIZE = 1_000;

/** All states but `terminated`. */
export const LIVE_STATES = ["pending", "running", "shutting-down", "stopping", "stopped"];

export interface Described {
  readonly region: string;
  readonly accountId: string | undefined;
  readonly instance: Ec2Instance;
}

/** Every instance that fits, all pages. An empty answer proves nothing about a launch of the last minutes. */
export async function describeInstances(
  clients: Clients,
  region: string,
  filters: readonly Filter[],
  signal: AbortSignal,
): Promise<readonly Described[]> {
  const found: Described[] = [];
  let nextToken: string | undefined;
  do {
    const request = { Filters: [...filters], MaxResults: PAGE_SIZE, NextToken: nextToken };
    const command = new DescribeInstancesCommand(request);
    const answer = await clients.pace
      .call({ region, api: "DescribeInstances", signal }, () =>
        clients.ec2(region).send(command, { abortSignal: signal }),
      )
      .catch((error: unknown) => {
        throw sortError(error, `EC2 DescribeInstances in ${region}`, signal);
      });
    found.push(...(answer.Reservations ?? []).flatMap((reservation) => unpack(region, reservation)));
    nextToken = answer.NextToken;
  } while (nextToken);
  return found;
}

export function unpack(region: string, reservation: Reservation): readonly Described[] {
  return (reservation.Instances ?? []).map((instance) => ({
    region,
    accountId: reservation.OwnerId,
    instance,
  }));
}

/** In our terms; `known` fills in what tags would say where the answer has none. */
export function toInstance(described: Described, known?: { readonly launchId: string }): Instance {
  const { instance, region, accountId } = described;
  const tags = new Map((instance.Tags ?? []).map((tag) => [tag.Key, tag.Value]));
  const runnerClass = tags.get(CLASS_TAG);
  const scope = tags.get(SCOPE_TAG);
  return {
    instanceId: instance.InstanceId ?? "",
    provider: "ec2",
    launchId: known?.launchId ?? tags.get(LAUNCH_TAG) ?? "",
    state: toState(instance.State?.Name),
    // Never missing; but should it be, old age must not be the reason to end a machine.
    launchedAt: instance.LaunchTime?.getTime() ?? Date.now(),
    region,
    isSpot: instance.InstanceLifecycle === "spot",
    ...(accountId === undefined ? {} : { accountId }),
    ...(runnerClass === undefined ? {} : { runnerClass }),
    ...(scope === undefined ? {} : { scope }),
  };
}

/** A stopped machine (by someone's hand: ours end by themselves) still costs its volume: it counts as running. */
function toState(state: string | undefined): Instance["state"] {
  if (state === "pending") return "pending";
  return state === "shutting-down" || state === "terminated" ? "terminating" : "running";
}
