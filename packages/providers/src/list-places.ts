import { type Instance, type Listing, ProvisionError } from "@grp/core";

/** All places at once; rejects when none of them answers. */
export async function listPlaces(
  places: readonly string[],
  ask: (place: string) => Promise<readonly Instance[]>,
): Promise<Listing> {
  const outcomes = await Promise.allSettled(places.map(ask));
  const instances = outcomes.flatMap((one) => (one.status === "fulfilled" ? one.value : []));
  const unasked = outcomes.flatMap((one, index) =>
    one.status === "rejected" ? [{ place: places[index] ?? "", error: asProvisionError(one.reason) }] : [],
  );
  const [first] = unasked;
  if (first && unasked.length === places.length) throw first.error;
  return { instances, unasked };
}

/** A bug stays one. */
function asProvisionError(error: unknown): ProvisionError {
  if (error instanceof ProvisionError) return error;
  throw error;
}
