import { setTimeout as sleep } from "node:timers/promises";
import { Queue } from "bullmq";
import type { Measure, Row } from "../row.ts";
import { cpuMsOf } from "../stand/process-stat.ts";
import type { ServerName, Stand } from "../stand/stand.ts";
import { deliverMore } from "./deliver.ts";

const JOBS = 9_600;
/** By then the machine code of the busy functions is there: workers run for weeks. */
const WARM_JOBS = 4_800;
const PATIENCE_MS = 60_000;
const POLL_MS = 10;

/** Jobs a second from the `WARM_JOBS`th to the last, by Redis' own list of completed ones. */
async function timeDrain(stand: Stand, worker: ServerName, completed: string): Promise<Measure> {
  const { pid } = await stand.server(worker);
  stand.focus([worker]);
  const reach = async (count: number) => {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const done = await stand.redis.client.zcard(completed);
      if (done >= count) return { done, at: performance.now() };
      if (performance.now() > deadline) throw new Error(`${worker} has done ${done} of ${count}`);
      await sleep(POLL_MS);
    }
  };
  const warm = await reach(WARM_JOBS);
  const pids = [pid, stand.redis.pid];
  const before = pids.map(cpuMsOf);
  const end = await reach(JOBS);
  const jobs = end.done - warm.done;
  const [serverUs = 0, redisUs = 0] = pids.map(
    (each, at) => ((cpuMsOf(each) - (before[at] ?? 0)) * 1_000) / jobs,
  );
  await stand.stop(worker);
  const perSecond = (jobs * 1_000) / (end.at - warm.at);
  return { value: perSecond, figures: { serverBusy: (perSecond * serverUs) / 1_000_000, serverUs, redisUs } };
}

async function measureBare(stand: Stand): Promise<Measure> {
  await stand.emptyRedis();
  const queue = new Queue("drain", { connection: { url: stand.redis.url } });
  const jobs = Array.from({ length: JOBS }, (_none, at) => ({
    name: "provision",
    data: {
      key: `wfj-${at}`,
      owner: "acme",
      repository: "app",
      labels: ["self-hosted", "linux", "ubuntu-arm64"],
    },
    opts: { jobId: `wfj-${at}` },
  }));
  await queue.addBulk(jobs);
  await queue.close();
  return timeDrain(stand, "bare-worker", "bull:drain:completed");
}

async function measureOurs(stand: Stand): Promise<Measure> {
  await stand.emptyRedis();
  await deliverMore(stand, { servers: ["ingress"], expect: 202, load: { count: JOBS } });
  return timeDrain(stand, "instant-worker", "{grp}:grp-ec2:completed");
}

/** How fast a full queue empties when the cloud answers at once: both with the jobs at a time that a worker is shipped with. */
export const drainRows: readonly Row[] = [
  {
    ...{ name: "drain-bare", unit: "jobs/s", about: "a BullMQ worker that does nothing" },
    measure: measureBare,
  },
  {
    ...{ name: "drain", unit: "jobs/s", baseline: "drain-bare", target: { atLeast: 0.5 } },
    about: "queue to a provider that answers at once: places, launches and ledger as in production",
    measure: measureOurs,
  },
];
