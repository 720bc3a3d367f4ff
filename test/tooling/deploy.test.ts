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

interface Service {
  readonly environment?: Readonly<Record<string, unknown>>;
}
const services = (parse(read("docker-compose.yml"), { merge: true }) as { services: Record<string, Service> })
  .services;
const given = (app: string) => Object.keys(services[app]?.environment ?? {});

describe("docker-compose.yml", () => {
  for (const app of ["ingress", "worker", "ops"])
    it(`gives ${app} the settings that it reads, and no other's`, () => {
      const mayHave = [...(SETTINGS[app] ?? []), ...OF_CATALOG, ...(app === "worker" ? OF_AWS : [])];
      expect(mayHave).to.include.members(given(app));
      expect(given(app)).to.include.members([...OF_CATALOG]);
    });

  it("keeps every credential where it is used", () => {
    const holders = (secret: RegExp) =>
      Object.keys(services).filter((app) => given(app).some((name) => secret.test(name)));
    expect(holders(/^AWS_.*KEY|^CODEMAGIC_TOKEN/)).to.deep.equal(["worker"]);
    expect(holders(/^GITHUB_(TOKEN|APP)|^TICKET_SECRET/)).to.deep.equal(["ingress", "worker"]);
    expect(holders(/^WEBHOOK_TOKEN/)).to.deep.equal(["ingress"]);
    expect(holders(/^OPS_PASSWORD/)).to.deep.equal(["ops"]);
  });

  it("takes every setting of .env.example, but those for files and for its own Redis", () => {
    const explained = names(read(".env.example"), /^#?([A-Z0-9_]+)=/gm);
    const taken = names(read("docker-compose.yml"), /\$\{(\w+)/g);
    expect([...explained].filter((name) => !taken.has(name))).to.have.members([
      ...["GITHUB_APP_PRIVATE_KEY_FILE", "AWS_IDENTITY_CERTIFICATES", "RUNNERS_FILE"],
      ...["REDIS_URL", "INTERNAL_PORT"],
    ]);
  });
});

describe(".env.example", () => {
  it("explains what must be set", () => {
    const explained = names(read(".env.example"), /^#?([A-Z0-9_]+)=/gm);
    const required = Object.entries({ ...ingress.shape, ...worker.shape })
      .filter(([, field]) => !field.safeParse(undefined).success)
      .map(([name]) => name);
    expect(required).to.include("WEBHOOK_TOKEN");
    expect([...explained]).to.include.members([...required, ...OF_CATALOG, "OPS_PASSWORD"]);
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
