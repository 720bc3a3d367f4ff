import {
  type ErrorClass,
  type Instance,
  type LaunchOrder,
  type Listing,
  type Offering,
  ProvisionError,
  placeOf,
  type RunnerProvider,
  TransientError,
} from "@grp/core";
import { expect } from "chai";

/** A machine as the provider's own books have it, whoever owns it. */
export interface TrueMachine {
  readonly instanceId: string;
  readonly launchId: string;
  readonly isLive: boolean;
}

/** A provider together with the other side of its wire, made afresh for every test. */
export interface ProviderHarness<O extends Offering = Offering> {
  readonly provider: RunnerProvider<O>;
  /** More machines than fit on one page of the provider's list. */
  readonly moreThanOnePage: number;
  /** The same bytes for the same id. Placements are added by the suite, as the ledger would. */
  order(launchId: string, size?: number): LaunchOrder<O>;
  machines(): readonly TrueMachine[];
  /** The next call that starts a machine does so, but its answer never arrives. */
  loseNextLaunch(): void;
  /** The next call is never answered at all; resolves when it has arrived. */
  hangNextCall(): Promise<void>;
  /** The provider refuses the next call with something of that class, at every place it could go to. */
  failNextCall(errorClass: ErrorClass): void;
  /** A live machine of someone else's in the same account. */
  addForeign(): void | Promise<void>;
  /** Room for that many machines and no more; only where the provider starts several at a time. */
  limitRoom?(count: number): void;
  /** What is ending ends. */
  settle(): void | Promise<void>;
  close(): void | Promise<void>;
}

const ERROR_CLASSES: readonly ErrorClass[] = [
  "invalid-spec",
  "unauthorized",
  "no-capacity",
  "rate-limited",
  "transient",
];

/** The contract of `RunnerProvider` as tests: whatever passes may be put behind the worker. */
export function describeProvider<O extends Offering>(
  name: string,
  createHarness: () => ProviderHarness<O> | Promise<ProviderHarness<O>>,
): void {
  describe(`${name} as a runner provider`, () => {
    let harness: ProviderHarness<O>;
    let placements: Map<string, string>;
    const never = new AbortController().signal;

    beforeEach(async () => {
      harness = await createHarness();
      placements = new Map();
    });
    afterEach(() => harness.close());

    const order = (launchId: string, size = 1): LaunchOrder<O> => ({
      ...harness.order(launchId, size),
      placement: placements.get(launchId),
      async recordPlacement(placement) {
        placements.set(launchId, placement);
      },
    });
    const launch = (launchId: string, size?: number) => harness.provider.launch(order(launchId, size), never);
    const live = (launchId?: string) =>
      harness.machines().filter((one) => one.isLive && (!launchId || one.launchId === launchId));

    describe("launch", () => {
      it("starts the machine and says which", async () => {
        const instances = await launch("l-one");
        expect(instances).to.have.length(1);
        expect(instances[0]).to.include({ launchId: "l-one", provider: harness.provider.name });
        expect(idsOf(instances)).to.deep.equal(live("l-one").map((one) => one.instanceId));
      });

      it("gives the same machine for the same order, however often", async () => {
        const first = await launch("l-one");
        const again = [await launch("l-one"), await launch("l-one")];
        for (const instances of again) expect(idsOf(instances)).to.deep.equal(idsOf(first));
        expect(live()).to.have.length(1);
      });

      it("gives another machine for another order", async () => {
        await launch("l-one");
        await launch("l-two");
        expect(live().map((one) => one.launchId)).to.have.members(["l-one", "l-two"]);
      });

      it("finds its machine again after a lost answer", async () => {
        harness.loseNextLaunch();
        const error = await failure(launch("l-lost"));
        expect(error).to.be.instanceOf(TransientError);
        const instances = await launch("l-lost");
        expect(idsOf(instances)).to.deep.equal(live("l-lost").map((one) => one.instanceId));
        expect(live()).to.have.length(1);
      });

      it("starts several machines with one order, and no more on a retry", async function () {
        if (harness.provider.maxLaunchSize < 2) return this.skip();
        const first = await launch("l-many", 2);
        const again = await launch("l-many", 2);
        expect(idsOf(again)).to.have.members(idsOf(first));
        expect(live()).to.have.length(2);
      });

      it("starts fewer where there is room for fewer", async function () {
        if (harness.provider.maxLaunchSize < 2 || !harness.limitRoom) return this.skip();
        harness.limitRoom(1);
        const instances = await launch("l-many", 2);
        expect(instances).to.have.length(1);
        expect(live()).to.have.length(1);
      });
    });

    describe("errors", () => {
      for (const errorClass of ERROR_CLASSES) {
        it(`says ${errorClass} when the provider means it, and starts nothing`, async () => {
          harness.failNextCall(errorClass);
          const error = await failure(launch("l-refused"));
          expect(error).to.be.instanceOf(ProvisionError);
          expect((error as ProvisionError).errorClass).to.equal(errorClass);
          expect(live()).to.have.length(0);
        });
      }

      it("launches after a refusal as if nothing had been", async () => {
        harness.failNextCall("no-capacity");
        await failure(launch("l-refused"));
        expect(await launch("l-refused")).to.have.length(1);
        expect(live()).to.have.length(1);
      });
    });

    describe("abort", () => {
      it("starts nothing when aborted before the call", async () => {
        const error = await failure(harness.provider.launch(order("l-late"), AbortSignal.abort()));
        expect(error).to.be.instanceOf(TransientError).with.property("code", "aborted");
        expect(live()).to.have.length(0);
      });

      for (const verb of ["launch", "list"] as const) {
        it(`ends a ${verb} that hangs`, async () => {
          const arrived = harness.hangNextCall();
          const controller = new AbortController();
          const call =
            verb === "launch"
              ? harness.provider.launch(order("l-hangs"), controller.signal)
              : harness.provider.list(controller.signal);
          const ended = failure(call);
          await arrived;
          controller.abort();
          expect(await ended)
            .to.be.instanceOf(TransientError)
            .with.property("code", "aborted");
        });
      }
    });

    describe("list", () => {
      it("is empty when nothing was started", async () => {
        expect(await harness.provider.list(never)).to.deep.equal({ instances: [], unasked: [] });
      });

      it("has every machine of ours, on all pages, with its launch", async () => {
        const launchIds = Array.from({ length: harness.moreThanOnePage }, (_, at) => `l-${at}`);
        for (const launchId of launchIds) await launch(launchId);
        const { instances: listed } = await harness.provider.list(never);
        expect(listed.map((instance) => instance.launchId)).to.have.members(launchIds);
        expect(idsOf(listed)).to.have.members(live().map((one) => one.instanceId));
      });

      it("leaves out what bears no tag of ours", async () => {
        await harness.addForeign();
        await launch("l-ours");
        const { instances: listed } = await harness.provider.list(never);
        expect(listed.map((instance) => instance.launchId)).to.deep.equal(["l-ours"]);
      });

      it("fails, or says of which place it tells nothing, rather than tell half", async () => {
        const instances = await launch("l-one");
        harness.failNextCall("transient");
        const heard = await harness.provider.list(never).catch((error: unknown) => error);
        if (heard instanceof Error) return void expect(heard).to.be.instanceOf(TransientError);
        const listing = heard as Listing;
        expect(listing.unasked.map(({ error }) => error.errorClass)).to.deep.equal(["transient"]);
        const isListed = listing.instances.length === 1;
        const place = placeOf(instances[0] ?? {});
        expect(listing.unasked[0]?.place === place).to.equal(!isListed);
        expect(idsOf((await harness.provider.list(never)).instances)).to.deep.equal(idsOf(instances));
      });

      it("leaves out what has ended", async () => {
        const [instance] = await launch("l-one");
        await harness.provider.terminate(instance?.instanceId ?? "", never);
        await harness.settle();
        expect((await harness.provider.list(never)).instances).to.deep.equal([]);
      });
    });

    describe("terminate", () => {
      it("says gone only once the machine is", async () => {
        const [instance] = await launch("l-one");
        const id = instance?.instanceId ?? "";
        const first = await harness.provider.terminate(id, never);
        if (first === "gone") expect(live()).to.have.length(0);
        await harness.settle();
        expect(await harness.provider.terminate(id, never)).to.equal("gone");
        expect(live()).to.have.length(0);
      });

      it("ends that machine and no other", async () => {
        const [instance] = await launch("l-one");
        await launch("l-two");
        await harness.provider.terminate(instance?.instanceId ?? "", never);
        await harness.settle();
        expect(live().map((one) => one.launchId)).to.deep.equal(["l-two"]);
      });

      it("does not take a failed call for gone", async () => {
        const [instance] = await launch("l-one");
        harness.failNextCall("transient");
        const error = await failure(harness.provider.terminate(instance?.instanceId ?? "", never));
        expect(error).to.be.instanceOf(TransientError);
      });
    });

    describe("validate", () => {
      it("accepts what would be launched, and starts nothing", async () => {
        await harness.provider.validate(order("l-none").offering, never);
        expect(harness.machines()).to.have.length(0);
      });

      it("says why not", async () => {
        harness.failNextCall("unauthorized");
        const error = await failure(harness.provider.validate(order("l-none").offering, never));
        expect(error).to.be.instanceOf(ProvisionError).with.property("errorClass", "unauthorized");
        expect(harness.machines()).to.have.length(0);
      });
    });
  });
}

function idsOf(instances: readonly Instance[]): string[] {
  return instances.map((instance) => instance.instanceId);
}

/** What the call was rejected with. */
export async function failure(call: Promise<unknown>): Promise<unknown> {
  try {
    await call;
  } catch (error) {
    return error;
  }
  throw new Error("the call should have failed");
}
