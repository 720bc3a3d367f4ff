import { expect } from "chai";
import { workflowJob } from "../testing/payloads.ts";
import { readWorkflowJob } from "./delivery.ts";
import { parsePayload } from "./parse-payload.ts";

interface Payload {
  readonly repository: object;
  readonly sender?: object;
}

const payload = workflowJob("queued");
const text = JSON.stringify(payload);

describe("parsePayload", () => {
  it("leaves out what follows the repository's owner, and finds the same delivery", () => {
    const { repository, sender } = parsePayload(text) as Payload;
    expect(sender).to.equal(undefined);
    expect(Object.keys(repository)).to.deep.equal(["name", "private", "owner"]);
    const { name, private: isPrivate, owner } = payload.repository;
    expect(repository).to.deep.equal({
      name,
      private: isPrivate,
      owner: { login: (owner as { login: string }).login },
    });
    expect(readWorkflowJob(text, false)).to.deep.equal(
      readWorkflowJob(JSON.stringify(payload, null, 1), false),
    );
  });

  it("is not misled by texts that look like members", () => {
    const name =
      ',"repository":{"id":1,"node_id":"x","name":"other","full_name":"a/b","private":false,"owner":{"login":"evil"';
    const tricky = JSON.stringify({ ...payload, workflow_job: { ...payload.workflow_job, name } });
    expect(readWorkflowJob(tricky, false)).to.deep.equal(readWorkflowJob(text, false));
  });

  it("parses all of it where the order, the spacing or a member is another", () => {
    const { repository, ...rest } = payload;
    for (const other of [
      JSON.stringify(payload, null, 2),
      JSON.stringify({ repository, ...rest }),
      JSON.stringify({ ...payload, repository: { ...repository, private: "no" } }),
      JSON.stringify({ ...payload, nested: undefined, repository: { name: "app", ...repository } }),
    ])
      expect(parsePayload(other)).to.deep.equal(JSON.parse(other));
  });

  it("says what is wrong with what is no JSON", () => {
    for (const broken of ["", "{", text.slice(0, 400), `${text}x`])
      expect(() => parsePayload(broken)).to.throw(SyntaxError);
  });
});
