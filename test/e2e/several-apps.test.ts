import { expect } from "chai";
import { type Stack, startStack } from "../../packages/sandbox/src/stack/index.ts";
import { expectNothingLeft, LINUX, QUICK, queueJob, queueUnheard, reaped } from "./harness.ts";

const EAGER = { ...QUICK, REDELIVERY_INTERVAL: "1" };

describe("two GitHub Apps", function () {
  this.timeout(120_000);
  let stack: Stack;
  before(async () => {
    stack = await startStack({ as: "apps", ops: {}, env: EAGER, sandbox: { github: { apps: 2 } } });
  });
  after(() => stack?.stop());

  interface Status {
    readonly warnings: readonly { readonly kind: string; readonly text: string }[];
    readonly rateLimits: readonly { readonly name: string; readonly used: number }[];
  }

  async function readStatus(): Promise<Status> {
    const { OPS_USER, OPS_PASSWORD } = stack.settings;
    const basic = Buffer.from(`${OPS_USER}:${OPS_PASSWORD}`).toString("base64");
    const answer = await fetch(`${stack.ops?.url}/api/status`, {
      headers: { authorization: `Basic ${basic}` },
    });
    return (await answer.json()) as Status;
  }

  it("serve every job, also what the hook of the second one missed, and with one of them suspended", async () => {
    const { github } = stack.sandbox;
    const [first, second] = github.apps.map(({ appId }) => appId) as [number, number];
    await stack.connect({ place: { kind: "app", appId: second } });
    const { job, delivery } = queueUnheard(stack, LINUX);
    await reaped(stack, job);
    const again = github.deliveries.filter(
      ({ isRedelivery, guid }) => isRedelivery && guid === delivery.guid,
    );
    expect(again.map(({ statusCode }) => statusCode)).to.deep.equal([202]);
    const both = (await readStatus()).rateLimits.map(({ name }) => name);
    expect(both).to.include.members([`github:app-${first}:acme`, `github:app-${second}:acme`]);

    github.setApp(first, "suspended");
    // Each request goes by the App that has most left: a job or two may pass before the first one is asked.
    let ofApps: Status["warnings"] = [];
    while (ofApps.length === 0) {
      await reaped(stack, queueJob(stack, LINUX));
      // On a slow machine the recovery too has been refused for some rounds by then, and says so.
      ofApps = (await readStatus()).warnings.filter(({ kind }) => kind !== "recovery");
    }
    expect(ofApps.map(({ kind }) => kind)).to.deep.equal(["github-app"]);
    expect(ofApps[0]?.text).to.include(`GitHub App ${first}`);
    const metrics = await (await fetch(`${stack.workers[0]?.internalUrl}/metrics`)).text();
    expect(metrics).to.match(new RegExp(`grp_rate_limit_points{limit="github:app-${second}:acme".*} \\d+`));
    expect(metrics).to.match(/grp_warnings{kind="github-app".*} 1/);
    await expectNothingLeft(stack);
  });
});
