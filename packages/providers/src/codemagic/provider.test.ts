import { inspect } from "node:util";
import { InvalidSpecError, type ProvisionError, RateLimitedError, TransientError } from "@grp/core";
import type { CodemagicStandInOptions } from "@grp/sandbox/codemagic";
import { expect } from "chai";
import { failure } from "../conformance/describe-provider.ts";
import { APP, codemagicOrder, createTestCodemagic } from "../testing/codemagic-cloud.ts";
import { type CodemagicProviderOptions, createCodemagicProvider } from "./provider.ts";

const never = new AbortController().signal;

describe("the CodeMagic provider", () => {
  let test: Awaited<ReturnType<typeof createTestCodemagic>>;
  const open = async (
    options: CodemagicStandInOptions = {},
    providerOptions: Partial<CodemagicProviderOptions> = {},
  ) => {
    test = await createTestCodemagic(options, providerOptions);
    return test;
  };
  afterEach(() => test.standIn.close());

  describe("launch", () => {
    it("starts the workflow with labels that tell whose it is, and with a ticket and no secret more", async () => {
      const { provider, standIn } = await open();
      const [instance] = await provider.launch(codemagicOrder("l-1"), never);
      const [build] = standIn.builds();
      expect(build).to.deep.include({
        workflowId: "github-runner",
        branch: "main",
        instanceType: "mac_mini_m2",
        labels: ["grp:grp", "l-1", "grp-class:macOS-arm64", "grp-scope:repo:acme/app"],
        variables: {
          GRP_URL: "https://grp.example.com",
          GRP_TICKET: "grp1.ticket",
          GRP_LAUNCH: "l-1",
          GRP_BOOT_TIMEOUT: "600",
          GRP_IDLE_TIMEOUT: "300",
          GRP_MAX_RUNTIME: "6600",
        },
      });
      expect(instance).to.deep.include({
        instanceId: build?.buildId,
        runnerClass: "macOS-arm64",
        scope: "repo:acme/app",
      });
    });

    it("writes down where it starts before it starts", async () => {
      const { provider, standIn } = await open();
      const seen: (string | number)[] = [];
      const recordPlacement = async (placement: string) => void seen.push(placement, standIn.builds().length);
      await provider.launch(codemagicOrder("l-1", { recordPlacement }), never);
      expect(seen).to.deep.equal([APP, 0]);
    });

    it("finds the build of an earlier try even when it has ended", async () => {
      const { provider, standIn } = await open();
      const [first] = await provider.launch(codemagicOrder("l-1"), never);
      standIn.endBuild(first?.instanceId ?? "", "finished");
      const again = await provider.launch(codemagicOrder("l-1", { placement: APP }), never);
      expect(again.map(({ instanceId, state }) => [instanceId, state])).to.deep.equal([
        [first?.instanceId, "terminating"],
      ]);
      expect(standIn.builds()).to.have.length(1);
    });

    it("does not start again when it can't look whether it has", async () => {
      const { provider, standIn } = await open();
      standIn.failNext(500);
      const call = provider.launch(codemagicOrder("l-1", { placement: APP }), never);
      expect(await failure(call)).to.be.instanceOf(TransientError);
      expect(standIn.builds()).to.have.length(0);
    });

    it("leaves it to CodeMagic to queue what is over its concurrency", async () => {
      const { provider, standIn } = await open({ concurrency: 1 });
      for (const id of ["l-1", "l-2"]) await provider.launch(codemagicOrder(id), never);
      const states = async () =>
        (await provider.list(never)).instances.map(({ launchId, state }) => `${launchId} ${state}`);
      expect(await states()).to.have.members(["l-1 running", "l-2 pending"]);
      standIn.endBuild(standIn.builds()[0]?.buildId ?? "", "finished");
      expect(await states()).to.deep.equal(["l-2 running"]);
    });
  });

  describe("list", () => {
    it("finds live builds of an app that left the catalog, and never says that there are none unasked", async () => {
      const { provider } = await open();
      await provider.launch(codemagicOrder("l-1"), never);
      const limits = { codemagic: { requests: 5_000, window: 3_600_000 } };
      const catalog = { classes: [], limits } as unknown as CodemagicProviderOptions["catalog"];
      const { standIn } = test;
      const list = (liveBuilds: CodemagicProviderOptions["liveBuilds"]) => {
        const { token, url: apiUrl, v3Url: v3ApiUrl } = standIn;
        const late = createCodemagicProvider({
          ...{ token, apiUrl, v3ApiUrl, catalog, installation: "grp" },
          ...(liveBuilds && { liveBuilds }),
        });
        return late.list(never);
      };
      expect(
        (await list(async () => [{ app: APP }])).instances.map(({ launchId }) => launchId),
      ).to.deep.equal(["l-1"]);
      const isAway = failure(list(() => Promise.reject(new Error("Redis is away"))));
      expect(await isAway).to.have.property("message", "Redis is away");
    });

    it("counts a status that nobody knows as running", async () => {
      const { provider, standIn } = await open();
      const [instance] = await provider.launch(codemagicOrder("l-1"), never);
      standIn.setStatus(instance?.instanceId ?? "", "defragmenting");
      expect((await provider.list(never)).instances.map(({ state }) => state)).to.deep.equal(["running"]);
    });

    it("leaves out every build that is over", async () => {
      const { provider, standIn } = await open();
      for (const status of ["finished", "failed", "canceled", "timeout", "skipped"]) {
        const [instance] = await provider.launch(codemagicOrder(`l-${status}`), never);
        standIn.setStatus(instance?.instanceId ?? "", status);
      }
      expect((await provider.list(never)).instances).to.deep.equal([]);
    });

    it("asks by its id for a build that the ledger takes for live and that is further back than it reads", async () => {
      let clock = Date.now();
      const liveBuilds: { app: string; buildId: string }[] = [];
      const { provider, standIn } = await open(
        { pageSize: 2, now: () => clock },
        { now: () => clock, liveBuilds: async () => liveBuilds },
      );
      const [old] = await provider.launch(codemagicOrder("l-1"), never);
      const [over] = await provider.launch(codemagicOrder("l-2"), never);
      const addHistory = () => {
        for (let count = 0; count < 4; count++) {
          standIn.addForeign();
          standIn.endBuild(standIn.builds().at(-1)?.buildId ?? "", "finished");
        }
      };
      clock += 1_000;
      addHistory();
      clock += 4 * 3_600_000 + 1_000;
      for (const buildId of [old, over].map((one) => one?.instanceId ?? ""))
        liveBuilds.push({ app: APP, buildId });
      standIn.setStatus(over?.instanceId ?? "", "finished");
      expect((await provider.list(never)).instances).to.deep.equal([{ ...old, state: "running" }]);
      expect(standIn.calls.filter((call) => call.startsWith("GET /builds?"))).to.have.length(1);
    });

    it("tells of the other apps when one can't be asked", async () => {
      const liveBuilds = async () => [{ app: "another" }];
      const { provider, standIn } = await open({}, { liveBuilds });
      await provider.launch(codemagicOrder("l-1"), never);
      standIn.failNext(500);
      const { instances, unasked } = await provider.list(never);
      expect(unasked).to.have.length(1);
      expect(instances.map(({ app }) => app)).to.deep.equal(unasked[0]?.place === APP ? [] : [APP]);
      for (let call = 0; call < 2; call++) standIn.failNext(500);
      expect(await failure(provider.list(never))).to.be.instanceOf(TransientError);
    });

    it("costs a small part of CodeMagic's hour, though a build ended in each minute of the day", async () => {
      const now = Date.now();
      const all = Array.from({ length: 1_440 }, (_, minutes) => {
        const createdAt = new Date(now - minutes * 60_000).toISOString();
        return { _id: `b${minutes}`, status: "finished", labels: [], createdAt };
      });
      let calls = 0;
      const request = async ({ params }: { params: { skip: number } }) => {
        calls += 1;
        return { status: 200, headers: {}, data: { builds: all.slice(params.skip, params.skip + 30) } };
      };
      const http = { request } as unknown as NonNullable<CodemagicProviderOptions["http"]>;
      const { provider } = await open({}, { http, now: () => now });
      expect(await provider.list(never)).to.deep.equal({ instances: [], unasked: [] });
      // A list each 30 s.
      expect(calls * 120).to.be.below(1_250);
    });

    it("does not read years of history", async () => {
      let clock = 0;
      const { provider, standIn } = await open({ pageSize: 2, now: () => clock });
      for (let count = 0; count < 6; count++) {
        standIn.addForeign();
        standIn.endBuild(standIn.builds().at(-1)?.buildId ?? "", "finished");
      }
      clock = Date.now();
      await provider.launch(codemagicOrder("l-1"), never);
      expect((await provider.list(never)).instances.map(({ launchId }) => launchId)).to.deep.equal(["l-1"]);
      // Page 1 holds ours, page 2 nothing but history.
      expect(standIn.calls.filter((call) => call.startsWith("GET /builds"))).to.have.length(2);
    });
  });

  describe("terminate", () => {
    it("does not take an unknown build for one that is gone", async () => {
      const { provider } = await open();
      const error = await failure(provider.terminate("000000000000000000000000", never));
      expect(error).to.be.instanceOf(TransientError).with.property("code", "404");
    });

    it("asks v3 where v1 has forgotten the build", async () => {
      const { provider, standIn } = await open();
      const [instance] = await provider.launch(codemagicOrder("l-1"), never);
      const id = instance?.instanceId ?? "";
      standIn.hideFromV1(true);
      expect(await provider.terminate(id, never)).to.equal("terminating");
      standIn.setStatus(id, "timeout");
      expect(await provider.terminate(id, never)).to.equal("gone");
    });
  });

  describe("validate", () => {
    it("refuses an app that is not there", async () => {
      const { provider } = await open();
      const offering = { ...codemagicOrder("l-1").offering, app: "000000000000000000000000" };
      expect(await failure(provider.validate(offering, never))).to.be.instanceOf(InvalidSpecError);
    });

    it("refuses a workflow that CodeMagic knows the branch not to have", async () => {
      const { provider } = await open({ workflows: { main: ["release"] } });
      const error = await failure(provider.validate(codemagicOrder("l-1").offering, never));
      expect(error).to.be.instanceOf(InvalidSpecError).with.property("code", "unknown-workflow");
    });

    it("accepts a workflow that CodeMagic knows", async () => {
      const { provider } = await open({ workflows: { main: ["release", "github-runner"] } });
      await provider.validate(codemagicOrder("l-1").offering, never);
    });
  });

  describe("errors", () => {
    const waits: [Record<string, string>, number][] = [
      [{ "retry-after": "7" }, 7_000],
      [{ "ratelimit-reset": "42" }, 42_000],
      [{}, 60_000],
    ];
    for (const [headers, ms] of waits)
      it(`waits ${ms} ms when told ${JSON.stringify(headers)}`, async () => {
        const { provider, standIn } = await open();
        standIn.failNext(429, headers);
        const error = await failure(provider.launch(codemagicOrder("l-1"), never));
        expect(error).to.be.instanceOf(RateLimitedError).with.property("retryAfterMs", ms);
      });

    const statuses = {
      400: "invalid-spec",
      403: "unauthorized",
      404: "invalid-spec",
      422: "invalid-spec",
      503: "transient",
      302: "transient",
    };
    for (const [status, errorClass] of Object.entries(statuses))
      it(`takes ${status} for ${errorClass}`, async () => {
        const { provider, standIn } = await open();
        standIn.failNext(Number(status));
        const error = await failure(provider.launch(codemagicOrder("l-1"), never));
        expect((error as ProvisionError).errorClass).to.equal(errorClass);
      });

    it("gives up on an answer that does not come", async () => {
      const { provider, standIn } = await open({}, { timeoutMs: 50 });
      const arrived = standIn.hangNext();
      const error = await failure(provider.launch(codemagicOrder("l-1"), never));
      await arrived;
      expect(error).to.be.instanceOf(TransientError);
    });

    it("carry neither the token nor the ticket, however deep one looks", async () => {
      const { provider, standIn } = await open({ token: "cm-the-secret-token" });
      const errors: unknown[] = [];
      for (const disturb of [
        () => standIn.failNext(500),
        () => standIn.failNext(401),
        () => standIn.failNext(400),
        () => standIn.loseNextResponse(),
      ]) {
        disturb();
        errors.push(await failure(provider.launch(codemagicOrder("l-1"), never)));
      }
      const shown = inspect(errors, { depth: 20, showHidden: true });
      expect(shown).to.include("no answer").and.include("told to fail *** ***");
      for (const secret of ["cm-the-secret-token", "grp1.ticket"]) expect(shown).not.to.include(secret);
    });
  });
});
