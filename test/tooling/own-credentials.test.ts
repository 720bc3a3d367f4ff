import { expect } from "chai";
import { withOwnCredentials } from "../../scripts/own-credentials.ts";

const ALL = {
  PATH: "/bin",
  REDIS_URL: "redis://127.0.0.1",
  EC2_SUBNETS: "subnet-a",
  AWS_SECRET_ACCESS_KEY: "s",
  AWS_IDENTITY_CERTIFICATES: "more.pem",
  CODEMAGIC_TOKEN: "c",
  GITHUB_TOKEN: "g",
  GITHUB_APP_PRIVATE_KEY: "k",
  GITHUB_APP_PRIVATE_KEY_2: "k",
  GITHUB_API_URL: "https://ghe.test/api/v3",
  TICKET_SECRET: "t",
  WEBHOOK_TOKEN: "w",
  OPS_PASSWORD: "p",
};
const SHARED = ["PATH", "REDIS_URL", "EC2_SUBNETS", "GITHUB_API_URL"];

describe("withOwnCredentials", () => {
  const names = (app: "ingress" | "worker" | "ops") => Object.keys(withOwnCredentials(app, ALL));

  it("gives each app what it uses and no credential of another", () => {
    const github = ["GITHUB_TOKEN", "GITHUB_APP_PRIVATE_KEY", "GITHUB_APP_PRIVATE_KEY_2", "TICKET_SECRET"];
    expect(names("ingress")).to.have.members([
      ...[...SHARED, ...github],
      ...["AWS_IDENTITY_CERTIFICATES", "WEBHOOK_TOKEN"],
    ]);
    expect(names("worker")).to.have.members([
      ...[...SHARED, ...github],
      ...["AWS_SECRET_ACCESS_KEY", "CODEMAGIC_TOKEN"],
    ]);
    expect(names("ops")).to.have.members([...SHARED, "OPS_PASSWORD"]);
  });
});
