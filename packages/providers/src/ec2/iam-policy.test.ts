import { readdirSync, readFileSync } from "node:fs";
import { expect } from "chai";

interface Statement {
  readonly Sid: string;
  readonly Action: string | readonly string[];
  readonly Condition?: unknown;
}

describe("docs/iam-policy.json", () => {
  const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");
  const policy = JSON.parse(read("../../../../docs/iam-policy.json")) as { Statement: Statement[] };
  const allowed = policy.Statement.flatMap(({ Action }) => Action);

  it("allows the calls we make, and no others", () => {
    const files = readdirSync(new URL(".", import.meta.url)).filter(
      (name) => name.endsWith(".ts") && !name.endsWith(".test.ts"),
    );
    const commands = files.flatMap((name) =>
      [...read(name).matchAll(/new (\w+)Command\(/g)].map((hit) => hit[1]),
    );
    const calls = commands.map((name) => (name === "GetParameter" ? `ssm:${name}` : `ec2:${name}`));
    // RunInstances with tags needs CreateTags, and with an instance profile PassRole.
    const implied = ["ec2:CreateTags", "iam:PassRole"];
    expect([...new Set(allowed)]).to.have.members([...new Set([...calls, ...implied])]);
  });

  it("ends and tags only what is ours, by the tag the provider sets", () => {
    const conditionOf = (action: string) =>
      JSON.stringify(policy.Statement.find(({ Action }) => Action === action)?.Condition);
    expect(conditionOf("ec2:TerminateInstances")).to.include('"aws:ResourceTag/grp:installation":"grp"');
    expect(conditionOf("ec2:RunInstances")).to.include('"aws:RequestTag/grp:installation":"grp"');
    expect(conditionOf("ec2:CreateTags")).to.include('"ec2:CreateAction":"RunInstances"');
  });
});
