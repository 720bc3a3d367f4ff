import { RunInstancesCommand, type RunInstancesCommandInput } from "@aws-sdk/client-ec2";
import {
  type Ec2Offering,
  type Instance,
  InvalidSpecError,
  type LaunchOrder,
  LaunchSpentError,
  NoCapacityError,
  type ProvisionError,
  RateLimitedError,
  TransientError,
} from "@grp/core";
import type { Clients } from "./clients.ts";
import { UNSUPPORTED_CODES } from "./error-codes.ts";
import { codeOf, refusalReach, sortError } from "./errors.ts";
import type { ImageResolver } from "./image.ts";
import { type Described, describeInstances, toInstance, unpack } from "./instances.ts";
import { OUR_BUDGET, type PacedCall } from "./pace.ts";
import { formatStanding, type Placement, parseStanding, placementsFrom, type Standing } from "./placement.ts";
import type { Refusals } from "./refusals.ts";
import { encodeUserData, runRequest } from "./run-request.ts";

export interface LaunchContext {
  readonly clients: Clients;
  readonly images: ImageResolver;
  readonly installation: string;
  readonly refusals: Refusals;
  readonly renderUserData: (order: LaunchOrder<Ec2Offering>) => string;
}

/**
 * Walks the offering's placements until one has room. Each is written down before it is called, and left only after a
 * refusal that is certain; so a retry, which begins where the last try stood, repeats the one call whose outcome may be
 * unknown, with its own ClientToken, and EC2 answers with the machine that is already there.
 */
export async function launch(
  context: LaunchContext,
  order: LaunchOrder<Ec2Offering>,
  signal: AbortSignal,
): Promise<readonly Instance[]> {
  const userData = encodeUserData(context.renderUserData(order));
  const start = parseStanding(order.placement);
  const imageId = start?.imageId ?? (await context.images.resolve(order.offering, signal));
  // Where the last try stood, a machine may be running: there EC2 is always asked.
  const recall = (placement: Placement) =>
    placement === start ? undefined : context.refusals.find(order.offering, placement);
  const placements = placementsFrom(order.offering, imageId, start);
  const walked = await walk(placements, recall, async (placement) => {
    if (signal.aborted) throw sortError(signal.reason, "EC2 RunInstances", signal);
    const request = runRequest(order, placement, userData, context.installation);
    const isCounted = placement === start && !start.isOwed;
    const answer = await whileCounted(order, { standing: placement, isCounted }, (paced) =>
      runInstances(context.clients, order, { request, ...paced }, signal),
    );
    if (answer instanceof NoCapacityError) context.refusals.remember(order.offering, placement, answer);
    // EC2 answers a token it knows before it looks for room; should it ever not, a machine of the last try may be seen.
    if (placement !== start || !(answer instanceof NoCapacityError)) return answer;
    return (await findByToken(context.clients, order, request, signal)) ?? answer;
  });
  if (walked.instances) return walked.instances;
  // All refused for certain, so nothing runs anywhere: the next try may begin with the best-liked placement again.
  const [best] = placementsFrom(order.offering, imageId);
  await order.recordPlacement?.(formatStanding({ ...best, isOwed: true }));
  throw summarise(walked.refusals);
}

type Paced = Pick<PacedCall, "leave" | "machines" | "isCounted" | "onCounted">;

/**
 * Writes the placement down as soon as its machines are counted, and that they are not when nobody would count them: our
 * budget refused, or EC2 throttled, which counts nothing then, and what they took is given back. So the next try asks for
 * them once more, or does not.
 */
async function whileCounted(
  { leave, size, recordPlacement }: LaunchOrder<Ec2Offering>,
  { standing, isCounted }: { readonly standing: Standing; readonly isCounted: boolean },
  call: (paced: Paced) => Promise<Answer>,
): Promise<Answer> {
  let isOwed = !isCounted;
  let unwritten: unknown;
  const onCounted = async () => {
    if (isOwed)
      await recordPlacement?.(formatStanding({ ...standing, isOwed: false })).catch((error: unknown) => {
        unwritten = error;
        throw error;
      });
    isOwed = false;
  };
  try {
    return await call({ leave, onCounted, machines: size, isCounted });
  } catch (error) {
    // Else it would pass for an error of EC2's.
    if (unwritten !== undefined) throw unwritten;
    if (!(error instanceof RateLimitedError)) throw error;
    const isRefused = isOwed || error.code !== OUR_BUDGET;
    if (isRefused) await recordPlacement?.(formatStanding({ ...standing, isOwed: true }));
    throw error;
  }
}

type Answer = readonly Instance[] | NoCapacityError;

/** Goes on after a refusal, over what it says it reaches; ends at machines, or at an error thrown. */
async function walk(
  placements: readonly Placement[],
  recall: (placement: Placement) => NoCapacityError | undefined,
  call: (placement: Placement) => Promise<Answer>,
): Promise<{ readonly instances?: readonly Instance[]; readonly refusals: readonly NoCapacityError[] }> {
  const refusals: NoCapacityError[] = [];
  const fullTypes = new Set<string>();
  for (const placement of placements) {
    if (fullTypes.has(placement.instanceType)) continue;
    const answer = recall(placement) ?? (await call(placement));
    if (!(answer instanceof NoCapacityError)) return { instances: answer, refusals };
    refusals.push(answer);
    const reach = refusalReach(answer.code);
    if (reach === "type") fullTypes.add(placement.instanceType);
    if (reach === "offering") break;
  }
  return { refusals };
}

/** The machines, or the refusal; other errors are thrown, and end the walk where it stands. */
async function runInstances(
  clients: Clients,
  order: LaunchOrder<Ec2Offering>,
  { request, ...paced }: Paced & { request: RunInstancesCommandInput },
  signal: AbortSignal,
): Promise<Answer> {
  const { region } = order.offering;
  const doing = `EC2 RunInstances ${request.InstanceType} in ${request.SubnetId}, ${region}`;
  try {
    const command = new RunInstancesCommand(request);
    const answer = await clients.pace.call({ region, api: "RunInstances", signal, ...paced }, () =>
      clients.ec2(region).send(command, { abortSignal: signal }),
    );
    return stillThere(unpack(region, answer), order);
  } catch (error) {
    const code = codeOf(error);
    // Of several, some may still be there: AWS does not say how many must have ended for it to answer so.
    if (code === "IdempotentInstanceTerminated") {
      const left = order.size > 1 ? await findByToken(clients, order, request, signal) : undefined;
      return left ?? stillThere([], order);
    }
    if (code === "IdempotentParameterMismatch") return adopt(clients, order, request, error, signal);
    const sorted = sortError(error, doing, signal);
    if (sorted instanceof NoCapacityError) return sorted;
    throw sorted;
  }
}

/**
 * The token is taken by a call with other parameters: the catalog, our address or the boot script changed between two
 * tries. The machine of the earlier call is as good, if it can be found; Describe may be minutes behind.
 */
async function adopt(
  clients: Clients,
  order: LaunchOrder<Ec2Offering>,
  request: RunInstancesCommandInput,
  cause: unknown,
  signal: AbortSignal,
): Promise<readonly Instance[]> {
  const found = await findByToken(clients, order, request, signal);
  if (found) return found;
  const message = `launch ${order.launchId}: started with other parameters, and not to be seen yet`;
  throw new TransientError(message, { code: "IdempotentParameterMismatch", cause });
}

/** The machines that were started with the request's token; LaunchSpentError if all of them have ended. */
async function findByToken(
  clients: Clients,
  order: LaunchOrder<Ec2Offering>,
  request: RunInstancesCommandInput,
  signal: AbortSignal,
): Promise<readonly Instance[] | undefined> {
  const byToken = { Name: "client-token", Values: [request.ClientToken ?? ""] };
  const found = await describeInstances(clients, order.offering.region, [byToken], signal);
  if (found.length === 0) return undefined;
  return stillThere(found, order);
}

/** Of a launch that was made before, some machines may have ended by themselves; LaunchSpentError if all have. */
function stillThere(found: readonly Described[], order: LaunchOrder<Ec2Offering>): readonly Instance[] {
  const instances = found.map((described) => toInstance(described, order));
  const live = instances.filter(({ state }) => state !== "terminating");
  if (live.length > 0) return live;
  throw new LaunchSpentError(`launch ${order.launchId}: its machines have ended`, {
    code: "IdempotentInstanceTerminated",
  });
}

/** One error for the walk. Only where no placement at all supports the type and image is the configuration at fault. */
function summarise(refusals: readonly NoCapacityError[]): ProvisionError {
  const last = refusals.at(-1);
  const details = { cause: last, ...(last?.code === undefined ? {} : { code: last.code }) };
  const text = refusals.map((refusal) => refusal.message).join("; ");
  const isUnsupported = refusals.every((refusal) => UNSUPPORTED_CODES.includes(refusal.code ?? ""));
  if (isUnsupported) return new InvalidSpecError(text, details);
  return new NoCapacityError(text, { ...details, waitsForHost: refusals.some((one) => one.waitsForHost) });
}
