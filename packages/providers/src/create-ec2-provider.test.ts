import { createEc2StandIn } from "@grp/sandbox/ec2";
import { expect } from "chai";
import { createEc2Provider } from "./create-ec2-provider.ts";
import { testOrder } from "./testing/order.ts";

describe("the EC2 provider as the worker gets it", () => {
  it("boots machines with the real script, the same bytes on every retry, and fits", async () => {
    const ec2 = await createEc2StandIn();
    const provider = createEc2Provider({
      installation: "grp",
      regions: ["us-east-1"],
      endpoint: ec2.url,
      ssmEndpoint: ec2.url,
      credentials: { accessKeyId: "AKIDTEST", secretAccessKey: "not-a-secret" },
    });
    const signal = new AbortController().signal;
    await provider.launch(testOrder("l-1"), signal);
    await provider.launch(testOrder("l-1"), signal);
    const [machine, ...others] = ec2.instances();
    expect(others).to.deep.equal([]);
    expect(machine?.userData).to.include("grp1.ticket").and.include("https://grp.example.com");
    provider.close();
    await ec2.close();
  });
});
