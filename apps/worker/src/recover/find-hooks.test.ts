import { RateLimitedError, TransientError, UnauthorizedError } from "@grp/core";
import type { HookPlace, HookTarget } from "@grp/github";
import { expect } from "chai";
import { type Harness, startHarness } from "../testing/harness.ts";
import { createHookFinder } from "./find-hooks.ts";

const MINUTE = 60_000;
const { signal } = new AbortController();
const URL_OF_OURS = "https://grp.test/webhook";

describe("the hooks of several Apps", () => {
  let server: Awaited<ReturnType<typeof startHarness>>;
  let harness: Harness;
  let asked: string[];
  before(async () => {
    server = await startHarness();
  });
  after(() => server.stop());
  beforeEach(async () => {
    harness = await server.create();
    asked = [];
  });

  function findWith(answer: (appId: string) => boolean | Error) {
    const findHooks = async (place: HookPlace): Promise<readonly HookTarget[]> => {
      if (place.kind !== "app") throw new Error(`asked for ${place.kind}`);
      asked.push(place.appId);
      const said = answer(place.appId);
      if (said instanceof Error) throw said;
      return said ? [place] : [];
    };
    const github = { ...harness.github, appIds: ["1", "2"], findHooks };
    return createHookFinder(harness.with({ github }), URL_OF_OURS);
  }

  for (const error of [
    new TransientError("500"),
    new RateLimitedError("pause", { retryAfterMs: 50 * MINUTE }),
    new UnauthorizedError("401"),
  ])
    it(`stand though another App says ${error.message}, which is told`, async () => {
      const find = findWith((appId) => (appId === "1" ? true : error));
      expect(await find(signal)).to.deep.equal({
        hooks: [{ kind: "app", appId: "1" }],
        unseen: ["GitHub App 2"],
      });
      expect(harness.lines).to.have.length(1);
      expect(harness.lines[0]).to.nested.include({
        message: "deliveries.hooks-unseen",
        "fields.appId": "2",
        "fields.error": error.message,
      });
    });

  it("are not said to be missing while GitHub wants a pause, and are asked for again in the next round", async () => {
    let error: Error | undefined = new RateLimitedError("all is spent", { retryAfterMs: 3_000 });
    const find = findWith(() => error ?? false);
    expect(await find(signal)).to.deep.equal({ hooks: [], unseen: ["GitHub App 1", "GitHub App 2"] });
    expect(harness.lines.map(({ message }) => message)).to.not.include("deliveries.no-hook");
    error = undefined;
    expect(await find(signal)).to.deep.equal({ hooks: [], unseen: [] });
    expect(harness.lines.map(({ message }) => message)).to.include("deliveries.no-hook");
  });

  it("stand through a failure of their own App, which is asked again in minutes", async () => {
    let isOut = false;
    const find = findWith((appId) => (isOut && appId === "1" ? new UnauthorizedError("401") : appId === "1"));
    await find(signal);
    isOut = true;
    harness.clock.now += 61 * MINUTE;
    const hooks = [{ kind: "app", appId: "1" }];
    expect(await find(signal)).to.deep.equal({ hooks, unseen: ["GitHub App 1"] });
    isOut = false;
    harness.clock.now += 11 * MINUTE;
    expect(await find(signal)).to.deep.equal({ hooks, unseen: [] });
  });

  it("are all that is asked for: no account, no repository, and each App once an hour", async () => {
    for (let count = 0; count < 20; count++)
      await harness.addDemand({ owner: "acme", repository: `r${count}` });
    const find = findWith(() => false);
    for (let count = 0; count < 9; count++) {
      expect((await find(signal)).hooks).to.deep.equal([]);
      harness.clock.now += MINUTE;
    }
    expect(asked).to.deep.equal(["1", "2"]);
  });
});
