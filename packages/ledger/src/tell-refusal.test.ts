import { expect } from "chai";
import { startLedger, T0, type TestLedger } from "./fixtures.ts";
import { createRefusalTeller } from "./tell-refusal.ts";

const SUSPENDED = {
  app: "GitHub App 12",
  where: "acme",
  code: "app_suspended",
  problem: "GitHub App 12 is suspended on acme/app",
};

describe("createRefusalTeller", () => {
  let test: TestLedger;
  before(async () => {
    test = await startLedger();
  });
  after(() => test.stop());
  beforeEach(async () => void (await test.redis.flushall()));

  /** Resolves with the lines when `count` of them were written. */
  function tellTo(count: number) {
    const lines: string[] = [];
    const { promise, resolve } = Promise.withResolvers<readonly string[]>();
    const write =
      (level: string) =>
      (message: string, { code }: Readonly<Record<string, unknown>>) => {
        lines.push(`${level} ${message} ${code}`);
        if (lines.length === count) resolve(lines);
      };
    const log = { info: write("info"), warn: write("warn") };
    return { tell: createRefusalTeller({ ledger: test.ledger, log, now: () => T0 }), lines: promise };
  }

  it("warns people for as long as an App is refused, and says it once in the log, at however many repositories", async () => {
    const { tell, lines } = tellTo(2);
    for (const repository of ["app", "lib", "web"])
      tell({ ...SUSPENDED, problem: `GitHub App 12 is suspended on acme/${repository}` });
    tell({ ...SUSPENDED, where: "other", code: "401", problem: "Bad credentials" });
    expect(await lines).to.have.members([
      "warn github.app-refused app_suspended",
      "warn github.app-refused 401",
    ]);
    const warnings = await test.ledger.listWarnings(T0);
    expect(warnings.map(({ kind, text }) => `${kind}: ${text}`)).to.have.members([
      "github-app: GitHub refuses GitHub App 12 at acme (app_suspended); the other Apps go on without it",
      "github-app: GitHub refuses GitHub App 12 at other (401); the other Apps go on without it",
    ]);
    expect(await test.ledger.listWarnings(T0 + 300_000)).to.deep.equal([]);
  });

  it("warns of no App that is merely not installed there", async () => {
    const { tell, lines } = tellTo(2);
    const elsewhere = { ...SUSPENDED, where: "acme/app", code: "app_not_installed" };
    tell(elsewhere);
    tell(elsewhere);
    tell({ ...elsewhere, where: "acme/lib" });
    expect(await lines).to.deep.equal([
      "info github.app-refused app_not_installed",
      "info github.app-refused app_not_installed",
    ]);
    expect(await test.ledger.listWarnings(T0)).to.deep.equal([]);
  });
});
