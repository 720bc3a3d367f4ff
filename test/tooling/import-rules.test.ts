import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { expect } from "chai";

const root = resolve(import.meta.dirname, "../..");
const config: { forbidden: { name: string }[] } = createRequire(import.meta.url)(
  "../../.dependency-cruiser.cjs",
);

/** One breach of each rule: the file, and what it imports. */
const breaches: Record<string, readonly [file: string, imported: string]> = {
  "no-cycles": ["packages/core/src/a.ts", "./b.ts"],
  resolvable: ["packages/core/src/c.ts", "./nowhere.ts"],
  declared: ["packages/core/src/d.ts", "left-pad"],
  "no-dev-dependency": ["packages/core/src/e.ts", "dev-only"],
  "apps-apart": ["apps/worker/src/a.ts", "../../ops/src/main.ts"],
  "packages-below-apps": ["packages/core/src/f.ts", "../../../apps/ops/src/main.ts"],
  "ingress-no-providers": ["apps/ingress/src/a.ts", "@grp/providers"],
  "only-core": ["packages/github/src/a.ts", "@grp/queue"],
  "config-below-apps": ["packages/config/src/a.ts", "@grp/ledger"],
  "nothing-of-ours": ["packages/runtime/src/a.ts", "@grp/core"],
  "sandbox-only-core": ["packages/sandbox/src/a.ts", "@grp/queue"],
  "sandbox-stays-outside": ["packages/ledger/src/a.ts", "@grp/sandbox"],
  "bench-apart": ["bench/src/a.ts", "@grp/queue"],
  "bench-stays-outside": ["packages/sandbox/src/b.ts", "../../../bench/src/a.ts"],
  "tests-stay-outside": ["packages/ledger/src/b.ts", "../../../test/support/redis.ts"],
  "front-door": ["packages/ledger/src/c.ts", "../../core/src/a.ts"],
  "bullmq-hidden": ["apps/worker/src/b.ts", "bullmq"],
  "ioredis-hidden": ["apps/worker/src/c.ts", "ioredis"],
  "aws-hidden": ["packages/providers/src/codemagic/a.ts", "@aws-sdk/client-ec2"],
  "octokit-hidden": ["apps/ingress/src/b.ts", "@octokit/core"],
  "webhooks-in-ingress": ["apps/worker/src/d.ts", "@octokit/webhooks"],
  "runtime-owns-signals": ["apps/worker/src/e.ts", "winston"],
};
/** What the breaches stand for is allowed here. */
const allowed: readonly (readonly [file: string, imported: string])[] = [
  ["packages/queue/src/ok.ts", "bullmq"],
  ["packages/runtime/src/ok.ts", "winston"],
  ["packages/providers/src/ec2/ok.ts", "@aws-sdk/client-ec2"],
  ["apps/ingress/src/ok.ts", "@octokit/webhooks"],
  ["packages/ledger/src/ok.ts", "@grp/core"],
  ["packages/ledger/src/ok.test.ts", "@grp/sandbox"],
  ["apps/worker/src/ok.test.ts", "../../../test/support/redis.ts"],
];

describe("the import rules", () => {
  let house: string;
  let found: { rule: string; from: string }[];

  before(async () => {
    house = buildHouse();
    for (const [file, imported] of [...Object.values(breaches), ...allowed])
      write(join(house, file), `import ${JSON.stringify(imported)};\n`);
    found = await cruise(house);
  });
  after(() => rmSync(house, { recursive: true }));

  it("have a planted breach each", () => {
    expect(Object.keys(breaches)).to.have.members(config.forbidden.map(({ name }) => name));
  });

  for (const [rule, [file, imported]] of Object.entries(breaches)) {
    it(`${rule}: refuses "${imported}" in ${file}`, () => {
      expect(found).to.deep.include({ rule, from: file });
    });
  }

  for (const [file, imported] of allowed) {
    it(`allow "${imported}" in ${file}`, () => {
      expect(found.filter(({ from }) => from === file)).to.deep.equal([]);
    });
  }
});

/** The same folders and package names as the real one, and nothing in them. */
function buildHouse(): string {
  const house = mkdtempSync(join(tmpdir(), "grp-house-"));
  const npm = ["bullmq", "ioredis", "winston", "left-pad", "dev-only"];
  const scoped = ["@aws-sdk/client-ec2", "@octokit/core", "@octokit/webhooks"];
  cpSync(join(root, ".dependency-cruiser.cjs"), join(house, ".dependency-cruiser.cjs"));
  write(join(house, "package.json"), "{}");
  for (const name of [...npm, ...scoped]) {
    write(join(house, "node_modules", name, "package.json"), JSON.stringify({ name, main: "index.js" }));
    write(join(house, "node_modules", name, "index.js"), "");
  }
  const dependencies = Object.fromEntries([...npm.slice(0, 3), ...scoped].map((name) => [name, "1"]));
  const names = ["core", "config", "queue", "ledger", "github", "providers", "runtime", "sandbox"];
  mkdirSync(join(house, "node_modules/@grp"), { recursive: true });
  for (const name of names) {
    symlinkSync(join(house, "packages", name), join(house, "node_modules/@grp", name));
    const workspace = Object.fromEntries(names.map((other) => [`@grp/${other}`, "workspace:*"]));
    const manifest = {
      name: `@grp/${name}`,
      exports: { ".": "./src/index.ts" },
      devDependencies: { "dev-only": "1" },
    };
    write(
      join(house, "packages", name, "package.json"),
      JSON.stringify({ ...manifest, dependencies: { ...dependencies, ...workspace } }),
    );
    write(join(house, "packages", name, "src/index.ts"), "");
  }
  for (const name of ["ingress", "worker", "ops"]) {
    write(join(house, "apps", name, "package.json"), JSON.stringify({ name: `@grp/${name}`, dependencies }));
    write(join(house, "apps", name, "src/main.ts"), "");
  }
  write(join(house, "bench/package.json"), JSON.stringify({ name: "@grp/bench" }));
  write(join(house, "packages/core/src/b.ts"), 'import "./a.ts";\n');
  write(join(house, "test/support/redis.ts"), "");
  return house;
}

function cruise(house: string): Promise<{ rule: string; from: string }[]> {
  const program = join(root, "node_modules/.bin/depcruise");
  const args = [
    "--config",
    ".dependency-cruiser.cjs",
    "--output-type",
    "json",
    "apps",
    "packages",
    "bench",
    "test",
  ];
  return new Promise((done, fail) => {
    execFile(program, args, { cwd: house, maxBuffer: 2 ** 26 }, (_error, stdout, stderr) => {
      if (!stdout.startsWith("{")) return fail(new Error(stderr));
      const { summary }: { summary: { violations: { rule: { name: string }; from: string }[] } } =
        JSON.parse(stdout);
      done(summary.violations.map(({ rule, from }) => ({ rule: rule.name, from })));
    });
  });
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
