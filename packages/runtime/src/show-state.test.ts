import { expect } from "chai";
import { createMetrics } from "./metrics.ts";
import { type State, showState } from "./show-state.ts";

const pool = { runnerClass: "linux", scope: "repo:acme/app" };
const BUSY: State = {
  queues: [
    { provider: "ec2", state: "waiting", count: 3, oldestAgeMs: 4_500 },
    { provider: "ec2", state: "active", count: 1 },
  ],
  caps: [{ name: "class:linux", limit: 2, used: 2, waiting: 3 }],
  rateLimits: [{ name: "github:app-1:acme", limit: 450, used: 90, waiting: 4, pausedMs: 1_500, left: 17 }],
  classes: [{ ...pool, demand: 3, supply: 2 }],
  oldest: [{ ...pool, ageMs: 60_000 }],
  dead: 7,
  warnings: [{ kind: "runner-version" }, { kind: "runner-version" }],
  sweepAgeMs: 12_500,
};

describe("showState", () => {
  const shown = async (...states: State[]) => {
    const metrics = createMetrics({ app: "test" });
    for (const state of states) showState(metrics, state);
    const lines = (await metrics.registry.metrics()).split("\n");
    return lines.filter((line) => /^grp_/.test(line)).map((line) => line.replace(/,?app="test"/, ""));
  };

  it("shows depth and age, caps, demand and supply, dead letters and warnings", async () => {
    expect(await shown(BUSY)).to.include.members([
      'grp_queue_jobs{provider="ec2",state="waiting"} 3',
      'grp_queue_jobs{provider="ec2",state="active"} 1',
      'grp_queue_oldest_seconds{provider="ec2",state="waiting"} 4.5',
      'grp_cap_used{cap="class:linux"} 2',
      'grp_cap_limit{cap="class:linux"} 2',
      'grp_cap_waiting{cap="class:linux"} 3',
      'grp_rate_limit_used{limit="github:app-1:acme"} 90',
      'grp_rate_limit_points{limit="github:app-1:acme"} 450',
      'grp_rate_limit_waiting{limit="github:app-1:acme"} 4',
      'grp_rate_limit_paused_seconds{limit="github:app-1:acme"} 1.5',
      'grp_rate_limit_hour_left{limit="github:app-1:acme"} 17',
      'grp_demand{runner_class="linux",scope="repo:acme/app"} 3',
      'grp_demand_oldest_seconds{runner_class="linux",scope="repo:acme/app"} 60',
      'grp_supply{runner_class="linux",scope="repo:acme/app"} 2',
      "grp_dead_letters{} 7",
      'grp_warnings{kind="runner-version"} 2',
      "grp_last_sweep_seconds{} 12.5",
    ]);
  });

  it("keeps no value of what is not there any more", async () => {
    const idle = { queues: [{ provider: "ec2", state: "waiting", count: 0 }], dead: 0 };
    const after = await shown(BUSY, {
      ...idle,
      caps: [],
      rateLimits: [],
      classes: [],
      oldest: [],
      warnings: [],
    });
    expect(after.filter((line) => /class:linux|acme|runner-version|last_sweep/.test(line))).to.deep.equal([]);
    expect(after).to.include.members([
      'grp_queue_oldest_seconds{provider="ec2",state="waiting"} 0',
      "grp_dead_letters{} 0",
    ]);
  });
});
