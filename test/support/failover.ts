import { once } from "node:events";
import { createRedis, type Redis } from "../../packages/runtime/src/index.ts";
import { startBalancer } from "./balancer.ts";
import { startRedis, type TestRedis } from "./redis.ts";

/** A master and its replica behind one address, as a managed Redis has. */
export interface FailoverPair {
  /** Leads to the master. Who is connected stays where he is when it leads elsewhere. */
  readonly url: string;
  /** The name leads to the replica, which stays one. */
  pointToReplica(): void;
  /** The replica, with all that was written, becomes the master and has the name; the old master stays up, as its replica. */
  failOver(): Promise<void>;
  /** Whether a queue's worker waits for work at the replica, or at what it has become. */
  hasIdleWorker(): Promise<boolean>;
  /** Writes that the replica has refused so far. */
  refusals(): Promise<number>;
  stop(): Promise<void>;
}

export async function startFailoverPair(): Promise<FailoverPair> {
  // Else a master waits 5 s for more replicas.
  const args = ["--repl-diskless-sync-delay", "0"];
  const servers = await Promise.all([startRedis({ args }), startRedis({ args })]);
  const [master, replica] = servers;
  const balancer = await startBalancer();
  const pointTo = (server: TestRedis) => balancer.setTargets([server.url]);
  pointTo(master);
  const [onMaster, onReplica] = await Promise.all([command(master), command(replica)]);
  await onReplica.replicaof("127.0.0.1", master.port);
  /** As far as the master, for replication waits for nobody. */
  const caughtUp = async () => {
    for (;;) {
      const [[, written], [, , , state, copied]] = await Promise.all([onMaster.role(), onReplica.role()]);
      if (state === "connected" && copied === written) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  await caughtUp();
  return {
    url: balancer.url.replace("http:", "redis:"),
    pointToReplica: () => pointTo(replica),
    async failOver() {
      await caughtUp();
      await onReplica.replicaof("NO", "ONE");
      pointTo(replica);
      await onMaster.replicaof("127.0.0.1", replica.port);
    },
    hasIdleWorker: async () => String(await onReplica.client("LIST")).includes("cmd=bzpopmin"),
    async refusals() {
      return Number(/errorstat_READONLY:count=(\d+)/.exec(await onReplica.info("errorstats"))?.[1] ?? 0);
    },
    async stop() {
      for (const client of [onMaster, onReplica]) client.disconnect();
      await balancer.close();
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
}

async function command({ url }: TestRedis): Promise<Redis> {
  const redis = createRedis(url, { name: "failover", onError: () => undefined });
  await once(redis, "ready");
  return redis;
}
