import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { parse } from "yaml";
import { settingsSchema as ingress } from "../../apps/ingress/src/config.ts";
import { describeServerSettings } from "../../apps/ops/src/config.ts";
import { settingsSchema as worker } from "../../apps/worker/src/config.ts";

const ROOT = join(import.meta.dirname, "../..");
const read = (file: string) => readFileSync(join(ROOT, file), "utf8");

const names = (text: string, pattern: RegExp) =>
  new Set([...text.matchAll(pattern)].map(([, name = ""]) => name));

/** What each process reads by its own word. */
const SETTINGS: Readonly<Record<string, ReadonlySet<string>>> = {
  ingress: new Set(Object.keys(ingress.shape)),
  worker: new Set(Object.keys(worker.shape)),
  ops: names(describeServerSettings(), /^ {2}([A-Z_]+) /gm),
};
/** What runners.yaml takes from the environment. */
const OF_CATALOG = names(read("runners.yaml").replace(/^#.*$/gm, ""), /\$\{(\w+)/g);
const OF_AWS = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/** What a user of compose does not set, and why. */
const LEFT_OUT = [
  // The containers' ports and addresses are published, and fixed inside.
  ...["HOST", "OPS_HOST"],
  // Where the real services are, unless a test stands in for them.
  ...["CODEMAGIC_API_URL", "CODEMAGIC_V3_API_URL", "AWS_ENDPOINT_URL_EC2"],
  // In a container, the loopback address that it asks for is nobody's but its own.
  "OPS_ANONYMOUS",
];

interface Service {
  readonly environment?: Readonly<Record<string, unknown>>;
  readonly volumes?: readonly unknown[];
}
const services = (parse(read("docker-compose.yml"), { merge: true }) as { services: Record<string, Service> })
  .services;
/** What it takes from .env. */
const taken = names(read("docker-compose.yml").replace(/^#.*$/gm, ""), /\$\{(\w+)/g);
const given = (app: string) => Object.keys(services[app]?.environment ?? {});

describe("docker-compose.yml", () => {
  for (const app of ["ingress", "worker", "ops"])
    it(`gives ${app} the settings that it reads, and no other's`, () => {
      const mayHave = [...(SETTINGS[app] ?? []), ...OF_CATALOG, ...(app === "worker" ? OF_AWS : [])];
      expect(mayHave).to.include.members(given(app));
      const mustHave = [...(SETTINGS[app] ?? []), ...OF_CATALOG].filter((name) => !LEFT_OUT.includes(name));
      expect(given(app)).to.include.members(mustHave);
    });

  it("keeps every credential where it is used", () => {
    const holders = (secret: RegExp) =>
      Object.keys(services).filter((app) => given(app).some((name) => secret.test(name)));
    expect(holders(/^AWS_.*KEY|^CODEMAGIC_TOKEN/)).to.deep.equal(["worker"]);
    expect(holders(/^GITHUB_(TOKEN|APP)|^TICKET_SECRET/)).to.deep.equal(["ingress", "worker"]);
    expect(holders(/^WEBHOOK_TOKEN/)).to.deep.equal(["ingress"]);
    expect(holders(/^OPS_PASSWORD/)).to.deep.equal(["ops"]);
  });

  it("mounts each file that a setting names where the process looks for it", () => {
    for (const [app, { environment = {}, volumes = [] }] of Object.entries(services))
      for (const [name, value] of Object.entries(environment)) {
        const [, inside] = /^\$\{\w+:\+(\/.+)\}$/.exec(String(value)) ?? [];
        const mount = { type: "bind", read_only: true, source: `\${${name}:-/dev/null}`, target: inside };
        if (inside) expect(volumes, `${app} ${name}`).to.deep.include(mount);
      }
    expect(services.ingress?.environment?.AWS_IDENTITY_CERTIFICATES).to.match(/:\+\//);
    expect(services.worker?.environment?.GITHUB_APP_PRIVATE_KEY_FILE).to.match(/:\+\//);
  });

  it("takes every setting of .env.example, but those of its own Redis and ports", () => {
    const explained = names(read(".env.example"), /^#?([A-Z0-9_]+)=/gm);
    expect([...explained].filter((name) => !taken.has(name))).to.have.members(["REDIS_URL", "INTERNAL_PORT"]);
  });
});

describe(".env.example", () => {
  it("explains every setting that compose takes", () => {
    const explained = names(read(".env.example"), /^#?([A-Z0-9_]+)=/gm);
    expect([...explained]).to.include.members([...taken]);
  });

  it("explains what must be set", () => {
    const explained = names(read(".env.example"), /^#?([A-Z0-9_]+)=/gm);
    const required = Object.entries({ ...ingress.shape, ...worker.shape })
      .filter(([, field]) => !field.safeParse(undefined).success)
      .map(([name]) => name);
    expect(required).to.include("WEBHOOK_TOKEN");
    expect([...explained]).to.include.members([...required, ...OF_CATALOG, "OPS_PASSWORD"]);
  });
});

describe("README.md", () => {
  it("has every setting of every process in its table", () => {
    const told = names(read("README.md"), /`([A-Z][A-Z0-9_]+)`/g);
    const settings = new Set([...Object.values(SETTINGS).flatMap((known) => [...known]), ...OF_CATALOG]);
    expect([...settings].filter((name) => !told.has(name))).to.deep.equal([]);
  });
});

describe("Dockerfile", () => {
  it("installs for every package of ours that the apps need, and no other", () => {
    const folders = ["apps", "packages"].flatMap((kind) =>
      readdirSync(join(ROOT, kind)).map((name) => `${kind}/${name}`),
    );
    const manifests = new Map(
      folders.map((folder) => {
        const manifest = JSON.parse(read(`${folder}/package.json`)) as Manifest;
        return [manifest.name, { folder, needs: Object.keys(manifest.dependencies ?? {}) }] as const;
      }),
    );
    const needed = new Set<string>();
    const need = (name: string) => {
      const found = manifests.get(name);
      if (!found || needed.has(found.folder)) return;
      needed.add(found.folder);
      found.needs.forEach(need);
    };
    for (const [name, { folder }] of manifests) if (folder.startsWith("apps/")) need(name);
    const copied = names(read("Dockerfile"), /^COPY (\S+)\/package\.json /gm);
    expect([...copied]).to.have.members([...needed]);
  });
});

interface Manifest {
  readonly name: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}
