import { expect } from "chai";
import { githubApiUrl, publicUrl } from "./addresses.ts";

const problemsOf = (field: ReturnType<typeof publicUrl> | ReturnType<typeof githubApiUrl>, text: string) =>
  field.safeParse(text).error?.issues.map(({ message }) => message) ?? [];

describe("PUBLIC_URL", () => {
  const isTaken = (text: string) => problemsOf(publicUrl(), text).length === 0;

  it("is https, or http within a network of one's own", () => {
    for (const text of [
      ...["https://grp.example.com", "https://example.com/grp/", "https://203.0.113.7:8443"],
      ...["http://127.0.0.1:3000", "http://localhost:3000", "http://[::1]:3000", "http://ingress:3000"],
      ...[
        "http://10.1.2.3",
        "http://172.31.0.1",
        "http://192.168.1.1",
        "http://[fd00::1]",
        "http://grp.internal",
      ],
      ...["http://grp.internal.", "http://grp.local.:3000", "http://grp.lan", "http://grp.home.arpa"],
      ...[
        "http://ingress.",
        "http://grp.grp.svc",
        "http://grp.grp.svc.cluster.local",
        "http://grp.tail1.ts.net",
      ],
      "http://internal-grp-1234.eu-west-1.elb.amazonaws.com",
    ])
      expect(isTaken(text), text).to.equal(true);
    for (const text of [
      "http://grp.example.com",
      ...["http://grp-1234.eu-west-1.elb.amazonaws.com", "http://internal-grp.example.com"],
      "http://203.0.113.7",
      "http://172.32.0.1",
      "http://[2001:db8::1]",
    ])
      expect(problemsOf(publicUrl(), text), text).to.deep.equal([
        "must begin with https://: machines are given their registrations there",
      ]);
  });

  it("has nothing behind it that would not reach the ingress, and no password, and every fault is told", () => {
    expect(problemsOf(publicUrl(), "https://grp.example.com/webhook/")).to.deep.equal([
      "must be without /webhook at its end",
    ]);
    for (const text of ["https://a.test?b=c", "https://a.test#d", "https://a.test/?"])
      expect(problemsOf(publicUrl(), text), text).to.deep.equal(["must have no ? and no #"]);
    expect(problemsOf(publicUrl(), "http://u:secret@a.example/webhook?b#c")).to.have.length(4);
    expect(problemsOf(publicUrl(), "ftp://grp.example.com")).to.deep.equal([
      "must be a URL that begins with http:// or https://",
    ]);
  });
});

describe("GITHUB_API_URL", () => {
  it("is the API of GitHub, of a server of one's own, or of what stands before one", () => {
    for (const text of [
      ...["https://api.github.com", "https://api.acme.ghe.com", "https://ghe.acme.com/api/v3/"],
      ...[
        "http://127.0.0.1:9",
        "http://localhost:8080",
        "http://10.0.0.5:8080",
        "http://github-stand-in:8080",
      ],
      ...["https://github-proxy.corp:8443", "https://github.com.corp", "https://proxy.corp/github"],
    ])
      expect(problemsOf(githubApiUrl(), text), text).to.deep.equal([]);
  });

  it("is none of GitHub's pages, not GraphQL, and has no password and nothing behind it", () => {
    for (const text of ["https://github.com/", "https://www.github.com/api/v3", "https://acme.ghe.com"])
      expect(problemsOf(githubApiUrl(), text), text).to.deep.equal([
        "must be https://api.github.com, https://api.<name>.ghe.com, or https://<host>/api/v3 of GitHub Enterprise Server",
      ]);
    for (const text of ["https://ghes.corp/api/graphql", "https://api.github.com/graphql/"])
      expect(problemsOf(githubApiUrl(), text), text).to.deep.equal([
        "must be the REST API's address, without /graphql (https://<host>/api/v3 of GitHub Enterprise Server)",
      ]);
    for (const text of ["https://ghes.corp/api/v3?x", "https://ghes.corp/api/v3#x"])
      expect(problemsOf(githubApiUrl(), text), text).to.deep.equal(["must have no ? and no #"]);
    expect(problemsOf(githubApiUrl(), "https://u:p@ghes.corp/api/v3")).to.deep.equal([
      "must have no user name and no password",
    ]);
    expect(problemsOf(githubApiUrl(), "ghe.acme.com")).to.have.length(1);
  });
});
