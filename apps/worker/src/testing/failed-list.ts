import type { FailedDeliveries, GitHub, HookDelivery, HookTarget } from "@grp/github";

const PAGE = 100;

export interface FailedList extends Pick<GitHub, "listFailedDeliveries" | "redeliver"> {
  /** Newest first. */
  readonly failed: HookDelivery[];
  /** One more that the ingress did not take; by GitHub's clock. */
  add(deliveredAt: number, more?: Partial<HookDelivery>): void;
  /** Every page that was given, by its hook. */
  readonly pages: readonly HookTarget[];
  readonly redelivered: readonly string[];
}

/** One list of failed deliveries, for whichever hook asks; GitHub's clock may be another than the worker's. */
export function createFailedList(clock: () => number): FailedList {
  const failed: HookDelivery[] = [];
  const pages: HookTarget[] = [];
  const redelivered: string[] = [];
  let lastId = 0;
  return {
    failed,
    pages,
    redelivered,
    add(deliveredAt, more = {}) {
      lastId += 1;
      const what = { event: "workflow_job", action: "queued", status: "Bad Gateway", statusCode: 502 };
      const one = { id: String(lastId), guid: `g${lastId}`, deliveredAt, isRedelivery: false, ...what };
      failed.unshift({ ...one, ...more });
    },
    async listFailedDeliveries(target, { sinceMs, cursor }): Promise<FailedDeliveries> {
      pages.push(target);
      const older = failed.filter(({ id }) => cursor === undefined || Number(id) < Number(cursor));
      const page = older.slice(0, PAGE);
      const last = page.at(-1);
      const hasMore = last !== undefined && older.length > PAGE && last.deliveredAt >= sinceMs;
      return {
        failed: page.filter((one) => one.deliveredAt >= sinceMs),
        at: clock(),
        ...(last && { downTo: last.deliveredAt }),
        ...(hasMore && { cursor: last.id }),
      };
    },
    async redeliver(_target, id) {
      redelivered.push(id);
    },
  };
}
