import { expect } from "chai";
import { createPointCounter } from "./limits.ts";
import { createGitHubStandIn } from "./stand-in.ts";

describe("GitHub's limits in the stand-in", () => {
  it("count a read as one point and a write as five, over a window that slides", () => {
    let now = 0;
    const counter = createPointCounter({ points: 11, windowMs: 60_000, concurrent: 100 }, () => now);
    const may = (method: string) => "leave" in counter.enter("account", method);
    expect([may("POST"), may("GET"), may("POST"), may("GET")]).to.deep.equal([true, true, true, false]);
    now = 59_999;
    expect(may("GET")).to.equal(false);
    now = 60_000;
    expect([may("POST"), may("POST"), may("GET"), may("GET")]).to.deep.equal([true, true, true, false]);
    expect(counter.refused()).to.equal(3);
    expect("leave" in counter.enter("app", "POST")).to.equal(true);
  });

  it("let so many be under way at a time", () => {
    const counter = createPointCounter({ points: 900, windowMs: 60_000, concurrent: 1 }, () => 0);
    const first = counter.enter("account", "GET");
    expect(counter.enter("account", "GET")).to.deep.equal({ retryAfterS: 60 });
    if ("leave" in first) first.leave();
    expect(counter.enter("account", "GET")).to.have.property("leave");
  });

  it("let one repository or organization take so many runners in a window, whoever registers them", async () => {
    let now = 0;
    const registrations = { most: 2, windowMs: 300_000 };
    const limits = { points: 1_000, windowMs: 60_000, concurrent: 9, registrations };
    const github = await createGitHubStandIn({ limits, now: () => now });
    const register = async (place: string, name: string) => {
      const { status, headers } = await fetch(`${github.url}/${place}/actions/runners/generate-jitconfig`, {
        method: "POST",
        headers: { authorization: `Bearer ${github.token}`, "content-type": "application/json" },
        body: JSON.stringify({ name, runner_group_id: 1, labels: ["linux"] }),
      });
      return `${status} ${headers.get("retry-after") ?? ""}`.trim();
    };
    expect(await register("repos/acme/app", "a")).to.equal("201");
    // What registers nothing does not count.
    expect(await register("repos/acme/app", "a")).to.equal("409");
    now = 100_000;
    expect(await register("repos/acme/App", "b")).to.equal("201");
    expect(await register("repos/acme/app", "c")).to.equal("403 200");
    expect(await register("repos/acme/web", "d")).to.equal("201");
    expect(await register("orgs/acme", "e")).to.equal("201");
    expect(github.refused()).to.equal(1);
    now = 300_000;
    expect(await register("repos/acme/app", "c")).to.equal("201");
    expect(await register("repos/acme/app", "f")).to.equal("403 100");
    await github.close();
  });

  it("are told in GitHub's words", async () => {
    const github = await createGitHubStandIn({ limits: { points: 1, windowMs: 60_000, concurrent: 9 } });
    const headers = { authorization: `Bearer ${github.token}` };
    const ask = () => fetch(`${github.url}/repos/acme/app/actions/runners`, { headers });
    expect((await ask()).status).to.equal(200);
    const refused = await ask();
    expect([refused.status, refused.headers.get("retry-after")]).to.deep.equal([403, "60"]);
    expect(await refused.text()).to.include("secondary rate limit");
    await github.close();
  });
});
