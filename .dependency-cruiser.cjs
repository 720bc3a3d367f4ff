// The import rules of the house. Tests may reach further than what they test: into the sandbox, test/support and
// each other's stand-ins; every rule about product code leaves them out by `notTest`.
const notTest =
  "(\\.test\\.ts$|/testing/|/conformance/|/fixtures\\.ts$|^test/|^scripts/|^bench/|^packages/sandbox/)";

/** A module by its package name, wherever pnpm put it and whether or not it could be found. */
const npm = (...names) => `(^|/)node_modules/(${names.join("|")})(/|$)|^(${names.join("|")})(/|$)`;

/** @param {string} name @param {string} comment @param {object} from @param {object} to */
const forbid = (name, comment, from, to) => ({ name, comment, severity: "error", from, to });

module.exports = {
  forbidden: [
    forbid("no-cycles", "Modules that need each other are one module.", {}, { circular: true }),
    forbid("resolvable", "Every import is found.", {}, { couldNotResolve: true }),
    forbid(
      "declared",
      "A package imports only what its own package.json names.",
      { pathNot: notTest },
      { dependencyTypes: ["npm-no-pkg", "npm-unknown"] },
    ),
    forbid(
      "no-dev-dependency",
      "The image has no development dependencies.",
      { path: "^(apps|packages)/", pathNot: notTest },
      { dependencyTypes: ["npm-dev"], dependencyTypesNot: ["type-only"] },
    ),
    forbid(
      "apps-apart",
      "An app never imports another app.",
      { path: "^apps/([^/]+)/", pathNot: notTest },
      { path: "^apps/", pathNot: "^apps/$1/" },
    ),
    forbid(
      "packages-below-apps",
      "A package never imports an app.",
      { path: "^packages/", pathNot: notTest },
      {
        path: "^apps/",
      },
    ),
    forbid(
      "ingress-no-providers",
      "What faces the internet has no cloud credentials.",
      { path: "^apps/ingress/", pathNot: notTest },
      { path: "^packages/providers/" },
    ),
    forbid(
      "only-core",
      "queue, ledger, github and providers know only core.",
      { path: "^packages/(queue|ledger|github|providers)/", pathNot: notTest },
      { path: "^packages/", pathNot: "^packages/(core|$1)/" },
    ),
    forbid(
      "config-below-apps",
      "config composes what apps read; it does no work of theirs.",
      { path: "^packages/config/", pathNot: notTest },
      { path: "^packages/", pathNot: "^packages/(config|core|github|runtime)/" },
    ),
    forbid(
      "nothing-of-ours",
      "core and runtime import nothing of ours.",
      { path: "^packages/(core|runtime)/", pathNot: notTest },
      { path: "^packages/", pathNot: "^packages/$1/" },
    ),
    forbid(
      "sandbox-only-core",
      "The stand-ins must not share code with what they test.",
      { path: "^packages/sandbox/", pathNot: "^packages/sandbox/src/demo/|\\.test\\.ts$" },
      { path: "^(packages|apps)/", pathNot: "^packages/(core|sandbox)/" },
    ),
    forbid(
      "sandbox-stays-outside",
      "The sandbox is for tests, benches and the demo.",
      { path: "^(apps|packages)/", pathNot: notTest },
      { path: "^packages/sandbox/" },
    ),
    forbid(
      "bench-apart",
      "Benches drive the product from outside, as processes; the one that swaps the cloud composes a worker itself.",
      { path: "^bench/", pathNot: "^bench/src/servers/instant-worker" },
      { path: "^(apps|packages)/", pathNot: "^packages/sandbox/" },
    ),
    forbid("bench-stays-outside", "Nothing imports a bench.", { pathNot: "^bench/" }, { path: "^bench/" }),
    forbid(
      "tests-stay-outside",
      "Product code never imports a test or its support.",
      { path: "^(apps|packages)/", pathNot: notTest },
      { path: "\\.test\\.ts$|^test/|/testing/|/fixtures\\.ts$" },
    ),
    forbid(
      "front-door",
      "Another package is imported by its name, not by a path into it.",
      { path: "^(apps|packages)/([^/]+)/", pathNot: "\\.test\\.ts$|/testing/|/fixtures\\.ts$|/demo/" },
      { path: "^packages/([^/]+)/src/", pathNot: "^packages/[^/]+/src/(index|sandbox)\\.ts$|^$1/$2/" },
    ),
    forbid(
      "bullmq-hidden",
      "BullMQ is known to queue, and to ops' dashboard.",
      { pathNot: `^packages/queue/|^apps/ops/src/server/board|${notTest}` },
      { path: npm("bullmq") },
    ),
    forbid(
      "ioredis-hidden",
      "Redis is known to queue, ledger and runtime.",
      { pathNot: `^packages/(queue|ledger|runtime)/|${notTest}` },
      { path: npm("ioredis") },
    ),
    forbid(
      "aws-hidden",
      "The AWS SDK is known to the EC2 provider.",
      { pathNot: `^packages/providers/src/ec2/|${notTest}` },
      { path: npm("@aws-sdk", "@smithy") },
    ),
    forbid(
      "octokit-hidden",
      "Octokit is known to github, and to ingress for the signature check.",
      { pathNot: `^packages/github/|${notTest}` },
      {
        path: npm("@octokit", "octokit"),
        pathNot: "/@octokit/webhooks(-methods|-types|-examples)?/|^@octokit/webhooks",
      },
    ),
    forbid(
      "webhooks-in-ingress",
      "The signature check is ingress' own; ops signs what it sends.",
      { pathNot: `^apps/(ingress|ops)/|^packages/github/|${notTest}` },
      { path: npm("@octokit/webhooks", "@octokit/webhooks-methods") },
    ),
    forbid(
      "runtime-owns-signals",
      "winston and prom-client are known to runtime.",
      { pathNot: `^packages/runtime/|${notTest}` },
      { path: npm("winston", "winston-transport", "prom-client") },
    ),
  ],
  options: {
    // TypeScript 7 has no compiler API for tools; swc reads the same syntax.
    parser: "swc",
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
    exclude: { path: "(^|/)(coverage|\\.grp)/" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "types", "default"],
      extensions: [".ts", ".js", ".mjs", ".cjs", ".json", ".d.ts"],
    },
  },
};
