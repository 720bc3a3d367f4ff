import { type Demand, demandJobId, type ProviderName } from "@grp/core";
import type { QueueProducer, Termination } from "@grp/queue";

export interface RecordingProducer extends QueueProducer {
  readonly demands: { demand: Demand; provider: ProviderName }[];
  readonly terminations: Termination[];
  /** Job ids, as given to `wake`. */
  readonly woken: readonly string[];
  failNext(error: Error): void;
  /** Job ids that `isUnderWay` is true of. */
  readonly underWay: Set<string>;
  /** `<provider> <job id>`s that `isInHand` is true of. */
  readonly inHand: Set<string>;
}

const NO_QUEUE = { name: "none", lua: "return ''" };

/** Writes down what it is asked to enqueue; nothing runs. */
export function createRecordingProducer(): RecordingProducer {
  const demands: { demand: Demand; provider: ProviderName }[] = [];
  const terminations: Termination[] = [];
  const woken: string[] = [];
  const underWay = new Set<string>();
  const inHand = new Set<string>();
  let failure: Error | undefined;
  const check = () => {
    const error = failure;
    failure = undefined;
    if (error) throw error;
  };
  const enqueue = async (demand: Demand, provider: ProviderName) => {
    check();
    demands.push({ demand, provider });
  };
  return {
    demands,
    terminations,
    woken,
    failNext(error) {
      failure = error;
    },
    composeEntry(demand, provider) {
      check();
      demands.push({ demand, provider });
      return { provider, script: NO_QUEUE, keys: [], args: [] };
    },
    enqueueDemand: enqueue,
    retry: enqueue,
    async enqueueTermination(termination) {
      check();
      terminations.push(termination);
    },
    async wake(_provider, jobId) {
      woken.push(jobId);
    },
    async withdraw(provider, jobId) {
      const at = demands.findIndex(
        (one) => one.provider === provider && demandJobId(one.demand.key, one.demand.generation) === jobId,
      );
      return at >= 0 && demands.splice(at, 1).length > 0;
    },
    inHand,
    isInHand: async (provider, jobId) => inHand.has(`${provider} ${jobId}`),
    underWay,
    isUnderWay: async (_provider, jobId) => underWay.has(jobId),
    counts: async () => [],
    isReady: async () => true,
    close: async () => undefined,
  };
}
