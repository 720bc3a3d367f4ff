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
    ])
      expect(isTaken(text), text).to.equal(true);
    for (const text of [
      "http://grp.example.com",
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
  it("names the API: api.<host>, or a server's path to it", () => {
    for (const text of [
      ...["https://api.github.com", "https://api.acme.ghe.com", "https://ghe.acme.com/api/v3/"],
      ...["http://127.0.0.1:9", "http://localhost:8080"],
    ])
      expect(problemsOf(githubApiUrl(), text), text).to.deep.equal([]);
    for (const text of ["https://ghe.acme.com", "https://github.com/", "https://acme.ghe.com"])
      expect(problemsOf(githubApiUrl(), text), text).to.deep.equal([
        "must be https://api.github.com, or https://<host>/api/v3 of GitHub Enterprise Server",
      ]);
    expect(problemsOf(githubApiUrl(), "ghe.acme.com")).to.have.length(1);
  });
});
