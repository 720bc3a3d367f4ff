import { InvalidSpecError, type ProvisionError, UnauthorizedError } from "@grp/core";
import { expect } from "chai";
import { failure } from "../conformance/describe-provider.ts";
import { createTestCloud, type TestCloud } from "../testing/ec2-cloud.ts";

describe("validating an EC2 offering", () => {
  let cloud: TestCloud;
  const never = new AbortController().signal;
  const validate = (changes = {}) => cloud.provider.validate(cloud.order("l-1", 1, changes).offering, never);
  const dryRuns = () => cloud.ec2.calls.filter((call) => call.action === "RunInstances");

  beforeEach(async () => {
    cloud = await createTestCloud({ subnets: { "subnet-a": "us-east-1a", "subnet-b": "us-east-1b" } });
  });
  afterEach(() => cloud.close());

  it("asks for a DryRun with each type and each subnet, and starts nothing", async () => {
    await validate();
    expect(
      dryRuns().map(({ request, outcome }) => [request.SubnetId, request.InstanceType, outcome]),
    ).to.deep.equal([
      ["subnet-a", "t4g.large", "DryRunOperation"],
      ["subnet-b", "t4g.large", "DryRunOperation"],
      ["subnet-a", "m7g.large", "DryRunOperation"],
    ]);
    expect(dryRuns().every(({ request }) => request.DryRun === "true")).to.equal(true);
    expect(cloud.ec2.instances()).to.have.length(0);
  });

  it("refuses an SSM parameter that is not there", async () => {
    const error = (await failure(validate({ image: { ssm: "/nowhere" } }))) as ProvisionError;
    expect(error).to.be.instanceOf(InvalidSpecError);
    expect(error.code).to.equal("ParameterNotFound");
  });

  it("refuses an SSM parameter that holds something else", async () => {
    cloud.ec2.setParameter("/text", "hello");
    expect(await failure(validate({ image: { ssm: "/text" } }))).to.be.instanceOf(InvalidSpecError);
  });

  it("refuses an image that is not there, by id or by name", async () => {
    const byId = (await failure(validate({ image: { id: "ami-0dead" } }))) as ProvisionError;
    expect(byId.code).to.equal("InvalidAMIID.NotFound");
    const byName = await failure(validate({ image: { owner: "099720109477", name: "windows-*" } }));
    expect(byName).to.be.instanceOf(InvalidSpecError);
  });

  it("takes the newest image of a name", async () => {
    await cloud.close();
    const image = { ownerId: "42", architecture: "arm64", rootDeviceName: "/dev/sda1" } as const;
    cloud = await createTestCloud({
      images: [
        { ...image, imageId: "ami-0b", name: "mine-2", creationDate: "2026-02-01T00:00:00.000Z" },
        {
          ...image,
          imageId: "ami-0c",
          name: "mine-3",
          creationDate: "2026-03-01T00:00:00.000Z",
          state: "pending",
        },
        { ...image, imageId: "ami-0a", name: "mine-1", creationDate: "2026-01-01T00:00:00.000Z" },
      ],
    });
    await validate({ image: { owner: "42", name: "mine-*" } });
    expect(dryRuns()[0]?.request.ImageId).to.equal("ami-0b");
  });

  it("looks an image up once in five minutes", async () => {
    const lookups = () => cloud.ec2.calls.filter((call) => call.action === "GetParameter").length;
    await validate();
    await validate();
    expect(lookups()).to.equal(1);
    cloud.advance(300_000);
    await validate();
    expect(lookups()).to.equal(2);
  });

  it("refuses a volume that is not the image's root device", async () => {
    const image = { id: "ami-0aa1000000000003" };
    const error = (await failure(validate({ image }))) as ProvisionError;
    expect(error.code).to.equal("RootDeviceMismatch");
    expect(error.message).to.include("/dev/xvda");
    await validate({ image, volume: { sizeGiB: 30, device: "/dev/xvda" } });
  });

  it("refuses an unknown second subnet and a type of another architecture", async () => {
    const bySubnet = (await failure(validate({ subnets: ["subnet-a", "subnet-x"] }))) as ProvisionError;
    expect(bySubnet.code).to.equal("InvalidSubnetID.NotFound");
    expect(await failure(validate({ instanceTypes: ["m7i.large"] }))).to.be.instanceOf(InvalidSpecError);
  });

  it("says when our credentials don't allow it", async () => {
    cloud.ec2.failNext("UnauthorizedOperation", { action: "RunInstances" });
    expect(await failure(validate())).to.be.instanceOf(UnauthorizedError);
  });
});
