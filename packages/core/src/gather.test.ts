import { expect } from "chai";
import { gather, type Settled } from "./gather.ts";

interface Batch {
  readonly inputs: readonly number[];
  finish(outcomes: readonly Settled<string>[]): void;
  fail(error: Error): void;
}

/** Batches as they go out; `next` waits for one. */
function recordBatches(limits: { most: number; calls?: number } = { most: 100 }) {
  const batches: Batch[] = [];
  let tell: () => void = () => undefined;
  const call = gather<number, string>(
    (inputs) =>
      new Promise((finish, fail) => {
        batches.push({ inputs, finish, fail });
        tell();
      }),
    limits,
  );
  const next = async (): Promise<Batch> => {
    if (batches.length === 0)
      await new Promise<void>((resolve) => {
        tell = resolve;
      });
    return batches.shift() as Batch;
  };
  return { call, next, count: () => batches.length };
}

const fine = (inputs: readonly number[]) =>
  inputs.map((input) => ({ ok: true as const, value: `#${input}` }));

describe("gather", () => {
  it("sends a lone call at once", async () => {
    const { call, next } = recordBatches();
    const answer = call(1);
    const batch = await next();
    expect(batch.inputs).to.deep.equal([1]);
    batch.finish(fine(batch.inputs));
    expect(await answer).to.equal("#1");
  });

  it("gathers what comes while a batch is under way, and has one under way at a time", async () => {
    const { call, next, count } = recordBatches();
    const answers = [call(1)];
    const first = await next();
    answers.push(call(2), call(3));
    await new Promise((resolve) => setImmediate(resolve));
    expect(count()).to.equal(0);
    first.finish(fine(first.inputs));
    const second = await next();
    expect(second.inputs).to.deep.equal([2, 3]);
    second.finish(fine(second.inputs));
    expect(await Promise.all(answers)).to.deep.equal(["#1", "#2", "#3"]);
  });

  it("makes no batch larger than the limit", async () => {
    const { call, next } = recordBatches({ most: 2 });
    const answers = Promise.all([1, 2, 3].map(call));
    for (const inputs of [[1, 2], [3]]) {
      const batch = await next();
      expect(batch.inputs).to.deep.equal(inputs);
      batch.finish(fine(inputs));
    }
    expect(await answers).to.have.lengthOf(3);
  });

  it("has several full batches under way where it may, and what fills none goes out after them", async () => {
    const { call, next, count } = recordBatches({ most: 2, calls: 2 });
    const answers = Promise.all([1, 2, 3, 4, 5, 6, 7].map(call));
    const [first, second] = [await next(), await next()];
    expect([first.inputs, second.inputs, count()]).to.deep.equal([[1, 2], [3, 4], 0]);
    second.finish(fine(second.inputs));
    const third = await next();
    expect(third.inputs).to.deep.equal([5, 6]);
    third.finish(fine(third.inputs));
    await new Promise((resolve) => setImmediate(resolve));
    expect(count()).to.equal(0);
    first.finish(fine(first.inputs));
    const last = await next();
    expect(last.inputs).to.deep.equal([7]);
    last.finish(fine(last.inputs));
    expect(await answers).to.deep.equal(["#1", "#2", "#3", "#4", "#5", "#6", "#7"]);
  });

  it("sends a full batch at once, not at the end of the turn", async () => {
    const { call, next, count } = recordBatches({ most: 2, calls: 2 });
    const answers = Promise.all([1, 2].map(call));
    expect(count()).to.equal(1);
    (await next()).finish(fine([1, 2]));
    expect(await answers).to.deep.equal(["#1", "#2"]);
  });

  it("fails one of a batch and not the others", async () => {
    const { call, next } = recordBatches();
    const [good, bad] = [call(1), call(2)];
    (await next()).finish([
      { ok: true, value: "fine" },
      { ok: false, error: new Error("just this one") },
    ]);
    expect(await good).to.equal("fine");
    expect(String(await bad.catch((error: unknown) => error))).to.equal("Error: just this one");
  });

  it("fails all of a batch that failed as a whole, and goes on with the next", async () => {
    const { call, next } = recordBatches();
    const lost = Promise.allSettled([call(1), call(2)]);
    const first = await next();
    const later = call(3);
    first.fail(new Error("no connection"));
    expect((await lost).map(({ status }) => status)).to.deep.equal(["rejected", "rejected"]);
    const second = await next();
    second.finish(fine(second.inputs));
    expect(await later).to.equal("#3");
  });
});
