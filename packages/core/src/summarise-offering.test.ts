import { expect } from "chai";
import type { Ec2Offering } from "./catalog.ts";
import { summariseOffering } from "./summarise-offering.ts";

describe("summariseOffering", () => {
  const offering: Ec2Offering = {
    provider: "ec2",
    region: "us-east-1",
    image: { ssm: "/aws/service/canonical/ubuntu/ami-id" },
    instanceTypes: ["t4g.large", "m7g.large"],
    subnets: ["subnet-a", "subnet-b"],
    securityGroups: ["sg-1"],
    market: "spot",
    volume: { sizeGiB: 30, device: "/dev/sda1" },
  };
  const summarise = (changes: Partial<Ec2Offering>) => summariseOffering({ ...offering, ...changes });

  it("puts an EC2 offering on one line", () => {
    expect(summarise({ image: { id: "ami-1" }, market: "spot" })).to.equal(
      "us-east-1 t4g.large|m7g.large spot in subnet-a,subnet-b, image ami-1, 30 GiB",
    );
  });

  it("names hosts and images as the catalog does", () => {
    expect(summarise({ host: { id: "h-1" }, image: { owner: "amazon", name: "al2023-*" } })).to.include(
      "host h-1, image amazon/al2023-*",
    );
    expect(summarise({ host: { resourceGroup: "arn:x" } })).to.include("host arn:x, image ssm:/aws/");
  });

  it("puts a CodeMagic offering on one line", () => {
    const codemagic = {
      provider: "codemagic",
      team: "default",
      app: "6543",
      workflow: "github-runner",
      branch: "main",
      instanceType: "mac_mini_m2",
    } as const;
    expect(summariseOffering(codemagic)).to.equal(
      "mac_mini_m2, app 6543, workflow github-runner on main, team default",
    );
  });
});
