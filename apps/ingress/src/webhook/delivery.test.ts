import { expect } from "chai";
import { createRandom } from "../../../../packages/sandbox/src/random.ts";
import { WORKFLOW_JOB_EXAMPLES, workflowJob } from "../testing/payloads.ts";
import { closeHead } from "./close-head.ts";
import { readWorkflowJob } from "./delivery.ts";

/** A text that does not end with a brace is read as a whole. */
const readWhole = (text: string) => readWorkflowJob(`${text} `, false);

const read = (text: string) => readWorkflowJob(text, false);

type Members = Readonly<Record<string, unknown>>;

/** The same object with its members, and those of the objects in it, in another order each time. */
function shuffle(value: unknown, random: () => number): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const members = Object.entries(value as Members).map(
    ([name, member]) => [name, shuffle(member, random), random()] as const,
  );
  return Object.fromEntries(members.toSorted((a, b) => a[2] - b[2]));
}

describe("what is read of a delivery", () => {
  for (const { name, payload } of WORKFLOW_JOB_EXAMPLES)
    it(`is the same from its head as from the whole (${name})`, () => {
      const text = JSON.stringify(payload);
      expect(read(text)).to.deep.equal(readWhole(text)).and.to.have.property("ok", true);
    });

  it("is in the head of every delivery that github.com is known to send", () => {
    const texts = WORKFLOW_JOB_EXAMPLES.filter(({ name }) => name.startsWith("api.github.com")).map(
      ({ payload }) => JSON.stringify(payload),
    );
    const heads = texts.map((text) => readWorkflowJob(closeHead(text) ?? "", false));
    expect(heads).to.deep.equal(texts.map(readWhole));
  });

  it("is the same in whatever order the members stand", () => {
    const random = createRandom(4_711);
    const { payload } = WORKFLOW_JOB_EXAMPLES.find((one) => "deployment" in one.payload) ?? {};
    for (let times = 0; times < 500; times += 1) {
      const text = JSON.stringify(shuffle(payload, random));
      expect(read(text)).to.deep.equal(readWhole(text)).and.to.have.property("ok", true);
    }
  });

  const decoys = {
    "text that looks like members": {
      job: { head_branch: '"}},"repository":{"owner":{"login":"mallory"}}}' },
    },
    "a repository inside of the workflow job": {
      job: { repository: { name: "other", private: false, owner: { login: "mallory" } } },
    },
    "an owner inside of the repository, before its own": {
      repository: { id: { parent: 1, owner: { login: "mallory" } } },
    },
    "a quotation mark in the owner's name": { owner: { login: 'ac"me' } },
  };
  for (const [what, changes] of Object.entries(decoys))
    it(`is not misled by ${what}`, () => {
      const text = JSON.stringify(workflowJob("queued", changes));
      expect(read(text)).to.deep.equal(readWhole(text)).and.to.have.property("ok", true);
    });

  it("is not misled by a repository in the payload that somebody gave a deployment", () => {
    const { action, workflow_job, repository, ...rest } = workflowJob("queued");
    const payload = { repository: { name: "other", private: true, owner: { login: "mallory" } } };
    const text = JSON.stringify({ action, workflow_job, deployment: { payload }, repository, ...rest });
    expect(read(text)).to.have.nested.property("value.repository.owner.login", "acme");
  });

  it("is nothing where the text was cut off", () => {
    const text = JSON.stringify(workflowJob("queued"));
    for (let length = 1; length < text.length; length += 1) {
      const cut = text.slice(0, length);
      if (!cut.endsWith("}")) expect(read(cut).ok, cut.slice(-20)).to.equal(false);
    }
  });
});
