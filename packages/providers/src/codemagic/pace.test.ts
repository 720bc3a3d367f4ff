import { once } from "node:events";
import { RateLimitedError } from "@grp/core";
import { expect } from "chai";
import { startRedis, type TestRedis } from "../../../../test/support/redis.ts";
import { createBudget } from "../../../ledger/src/index.ts";
import { closeRedis, createRedis } from "../../../runtime/src/index.ts";
import { failure } from "../conformance/describe-provider.ts";
import { codemagicOrder, createTestCodemagic } from "../testing/codemagic-cloud.ts";

const never = new AbortController().signal;

describe("CodeMagic's pace", () => {
  let server: TestRedis;
  let redis: ReturnType<typeof createRedis>;
  before(async () => {
    server = await startRedis();
    redis = createRedis(server.url, { name: "test", onError: () => undefined });
    await once(redis, "ready");
  });
  beforeEach(async () => void (await redis.flushall()));
  after(async () => {
    await closeRedis(redis);
    await server.stop();
  });

  /** Two workers, each with a provider of its own, and one CodeMagic. */
  async function connect(hourly?: number) {
    const { standIn, provider } = await createTestCodemagic(hourly === undefined ? {} : { hourly }, {
      budget: createBudget({ redis }),
    });
    const { token, url: apiUrl, v3Url: v3ApiUrl } = standIn;
    const other = await createTestCodemagic({}, { token, apiUrl, v3ApiUrl, budget: createBudget({ redis }) });
    const close = () => Promise.all([standIn.close(), other.standIn.close()]);
    return { standIn, providers: [provider, other.provider] as const, close };
  }

  it("asks nothing more when its answers say that nothing is left, whoever had the last one", async () => {
    const { standIn, providers, close } = await connect(3);
    const [first, second] = providers;
    await first.launch(codemagicOrder("l-1"), never);
    await second.launch(codemagicOrder("l-2"), never);
    await first.launch(codemagicOrder("l-3"), never);
    const late = await failure(second.launch(codemagicOrder("l-4"), never));
    expect(late).to.be.instanceOf(RateLimitedError).and.to.include({ code: "budget", isShared: true });
    expect((late as RateLimitedError).retryAfterMs).to.be.within(3_500_000, 3_600_000);
    expect(standIn.calls).to.have.length(3);
    await close();
  });

  it("tells everybody when it was too much all the same", async () => {
    const { standIn, providers, close } = await connect();
    const [first, second] = providers;
    standIn.failNext(429, { "retry-after": "42" });
    expect(await failure(first.list(never))).to.include({ retryAfterMs: 42_000, isShared: true });
    const late = (await failure(second.list(never))) as RateLimitedError;
    expect(late).to.include({ code: "budget" });
    expect(late.retryAfterMs).to.be.within(30_000, 42_000);
    expect(standIn.calls).to.have.length(1);
    await close();
  });
});
