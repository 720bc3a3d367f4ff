import Mocha from "mocha";

const lingerMs = 3_000;

/**
 * Mocha's spec reporter, ended by each test that was skipped, and a line with the real counts: `12 passed, 0 failed`.
 * What a leaking suite left behind can't keep the process alive after that.
 */
export default class CountingReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    const skipped: string[] = [];
    runner.on("pending", (test) => skipped.push(test.fullTitle()));
    runner.once("end", () => {
      for (const title of skipped) process.stdout.write(`SKIPPED: ${title}\n`);
      const { passes, failures } = this.stats;
      process.stdout.write(`${passes} passed, ${failures} failed\n`);
      setTimeout(() => process.exit(), lingerMs).unref();
    });
  }
}
