import { demandSchema } from "@grp/core";
import { expect } from "chai";
import { createRandom } from "../../../packages/sandbox/src/random.ts";
import { deliver, type TestIngress } from "./testing/ingress.ts";
import { WORKFLOW_JOB_EXAMPLES, workflowJob } from "./testing/payloads.ts";
import { useIngress } from "./testing/suite.ts";

const ODD: readonly unknown[] = [
  ...[null, true, "", 0, -1, 1.5, 2 ** 53, 1e308, [], {}, [null], { id: {} }],
  ...[
    "__proto__",
    "constructor",
    "wait",
    "active",
    "{grp}:demand",
    "a:b:c",
    "\u0000\u001b[31m",
    "ÄÖ😀\ud800",
  ],
  ...["x".repeat(100_000), Array.from({ length: 5_000 }, (_none, index) => `label-${index}`)],
];

type Tree = Record<string, unknown>;

/** Every place in the payload that the ingress might look at. */
const PLACES = [
  ...["action", "workflow_job", "repository", "organization", "sender", "installation"],
  ...["id", "run_id", "run_attempt", "labels", "status", "conclusion", "runner_id", "runner_name"].map(
    (name) => `workflow_job.${name}`,
  ),
  ...["created_at", "started_at", "completed_at", "name", "steps"].map((name) => `workflow_job.${name}`),
  ...["name", "full_name", "private", "owner", "owner.login"].map((name) => `repository.${name}`),
];

function put(payload: Tree, place: string, value: unknown): void {
  const names = place.split(".");
  const last = names.pop() as string;
  let at: unknown = payload;
  for (const name of names) at = (at as Tree | null)?.[name];
  if (typeof at !== "object" || at === null) return;
  if (value === undefined) delete (at as Tree)[last];
  else (at as Tree)[last] = value;
}

describe("a signed delivery with strange content", () => {
  const suite = useIngress();
  let ingress: TestIngress;
  beforeEach(async () => {
    ingress = await suite.start();
  });

  /** Taken, ignored or called malformed; never an error of ours. */
  async function expectAnswered(payload: object, what: string): Promise<void> {
    const { status, body } = await deliver(ingress, payload);
    expect([200, 202, 400], `${what}: ${JSON.stringify(body).slice(0, 300)}`).to.include(status);
    expect(body.outcome, what).to.be.a("string");
  }

  afterEach(() => {
    const errors = ingress.logLines().filter(({ level }) => level === "error");
    expect(errors).to.deep.equal([]);
  });

  for (const action of ["queued", "completed"]) {
    it(`in any one place of a ${action} delivery is answered in words`, async function () {
      this.timeout(60_000);
      for (const place of PLACES) {
        const sendings = [undefined, ...ODD].map((value) => {
          const payload = workflowJob(action, { job: { labels: ["ubuntu-arm64"], runner_name: "grp-1-0" } });
          put(payload as unknown as Tree, place, value);
          return expectAnswered(payload, `${place} = ${JSON.stringify(value)?.slice(0, 40)}`);
        });
        await Promise.all(sendings);
      }
    });
  }

  it("in several places at once is answered in words", async function () {
    this.timeout(60_000);
    const draw = createRandom(20_261_124);
    const random = (below: number) => Math.floor(draw() * below);
    const makeStrange = () => {
      const example = WORKFLOW_JOB_EXAMPLES[random(WORKFLOW_JOB_EXAMPLES.length)]?.payload;
      const payload = structuredClone(example) as unknown as Tree;
      for (let changes = 1 + random(4); changes > 0; changes--)
        put(payload, PLACES[random(PLACES.length)] as string, [undefined, ...ODD][random(ODD.length + 1)]);
      return payload;
    };
    for (let round = 0; round < 10; round++) {
      const payloads = Array.from({ length: 15 }, makeStrange);
      await Promise.all(payloads.map((payload) => expectAnswered(payload, `round ${round}`)));
    }
  });

  it("has been queued at a time that can be, whatever it says", async () => {
    const before = Date.now();
    const minuteAgo = new Date(before - 60_000).toISOString();
    const times = ["-271821-04-20T00:00:00Z", "1970-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "soon", ""];
    for (const createdAt of [minuteAgo, ...times]) {
      const payload = workflowJob("queued", { job: { labels: ["ubuntu-arm64"], created_at: createdAt } });
      const { status, body } = await deliver(ingress, payload);
      expect([status, body.outcome], createdAt).to.deep.equal([202, "enqueued"]);
      const record = await ingress.ledger.getWorkflowJob(String(body.key));
      expect(() => demandSchema.parse(record?.demand), createdAt).not.to.throw();
      if (createdAt === minuteAgo) expect(record?.demand.queuedAt).to.equal(before - 60_000);
      else expect(record?.demand.queuedAt, createdAt).to.equal(record?.demand.receivedAt);
    }
  });

  it("leaves nothing in the queue that a worker could not read", async () => {
    const labels = ["Ubuntu-ARM64"];
    const strange = { name: "{grp}:meta", owner: { login: "acme" } };
    await deliver(ingress, workflowJob("queued", { job: { labels, run_attempt: "x" }, repository: strange }));
    const [record] = await ingress.ledger.listWorkflowJobs(1);
    expect(record?.demand).to.include({ repository: "{grp}:meta", runAttempt: 1 });
    expect(await ingress.producer.isUnderWay("ec2", record?.key ?? "")).to.equal(true);
    // The keys that such a name could have met are what they were.
    const counts = await ingress.producer.counts();
    expect(counts.filter(({ count }) => count > 0)).to.have.length(1);
  });
});
