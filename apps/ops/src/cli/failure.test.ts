import { ConfigError } from "@grp/runtime";
import axios from "axios";
import { expect } from "chai";
import { CommanderError } from "commander";
import { CliError, tellFailure } from "./failure.ts";

describe("tellFailure", () => {
  function tell(error: unknown) {
    const printed: string[] = [];
    const exitCode = tellFailure(error, (text) => printed.push(text));
    return { exitCode, text: printed.join("\n") };
  }

  it("says in one line what a person can mend, and nothing twice", () => {
    expect(tell(new CliError("no"))).to.deep.equal({ exitCode: 1, text: "grp: no" });
    expect(tell(new CliError("no", 2)).exitCode).to.equal(2);
    expect(tell(new ConfigError([])).exitCode).to.equal(2);
    const said = new CommanderError(1, "commander.unknownOption", "said already");
    expect(tell(said)).to.deep.equal({ exitCode: 2, text: "" });
    expect(tell(new CommanderError(0, "commander.helpDisplayed", "")).exitCode).to.equal(0);
  });

  it("shows where a fault of its own came from, and no credential that a client hung on the error", async () => {
    const error: unknown = await axios
      .get("http://127.0.0.1:1/", { auth: { username: "grp", password: "hunter2hunter2" } })
      .catch((failed: unknown) => failed);
    const { exitCode, text } = tell(error);
    expect([exitCode, text.includes("failure.test.ts")]).to.deep.equal([1, true]);
    expect(text)
      .to.contain("ECONNREFUSED")
      .and.not.match(/hunter2|Basic|username/);
  });
});
