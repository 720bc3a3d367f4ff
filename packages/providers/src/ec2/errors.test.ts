import { EC2ServiceException } from "@aws-sdk/client-ec2";
import { type ErrorClass, type ProvisionError, RateLimitedError } from "@grp/core";
import { expect } from "chai";
import { failure } from "../conformance/describe-provider.ts";
import { createTestCloud, IMAGE, type TestCloud } from "../testing/ec2-cloud.ts";
import { endCodes, refusalCodes } from "./error-codes.ts";
import { sortError, THROTTLED_RETRY_AFTER_MS } from "./errors.ts";

/** FACTS of EC2's documentation, written down apart from the table so that a slip in either shows. */
const DOCUMENTED: Readonly<Record<ErrorClass, string>> = {
  "no-capacity": `InsufficientInstanceCapacity InsufficientHostCapacity InsufficientCapacityOnHost
    IncompatibleHostRequirements UnavailableHostRequirements UnfulfillableCapacity SpotMaxPriceTooLow
    MaxSpotInstanceCountExceeded VcpuLimitExceeded InstanceLimitExceeded HostLimitExceeded ResourceCountExceeded
    ResourceLimitExceeded InsufficientFreeAddressesInSubnet MaxFleetCountExceeded ReservationCapacityExceeded
    VolumeLimitExceeded MaxIOPSLimitExceeded NetworkInterfaceLimitExceeded`,
  "rate-limited": "RequestLimitExceeded Throttling ThrottlingException BandwidthLimitExceeded",
  "invalid-spec": `InvalidAMIID.NotFound InvalidAMIID.Unavailable InvalidAMIID.Malformed InvalidParameterValue
    InvalidParameterCombination InvalidParameter MissingParameter InvalidUserData.Malformed
    InvalidSubnetID.NotFound InvalidGroup.NotFound Unsupported UnsupportedOperation SomethingNewFourHundred`,
  unauthorized: `UnauthorizedOperation AuthFailure OptInRequired PendingVerification Blocked SignatureDoesNotMatch`,
  transient: `ExpiredToken InternalError InternalFailure ServerInternal ServiceUnavailable Unavailable RequestExpired
    InvalidInstanceID.NotFound IdempotentParameterMismatch IdempotentInstanceTerminated`,
};

describe("EC2's error codes", () => {
  let cloud: TestCloud;
  const never = new AbortController().signal;
  const launch = () =>
    failure(
      cloud.provider.launch(cloud.order("l-1", 1, { image: { id: IMAGE } }), never),
    ) as Promise<ProvisionError>;

  before(async () => {
    cloud = await createTestCloud();
  });
  after(() => cloud.close());
  // What was refused in one test is asked for again in the next.
  beforeEach(() => cloud.advance(60_000));

  for (const [errorClass, codes] of Object.entries(DOCUMENTED)) {
    for (const code of codes.split(/\s+/)) {
      it(`${code} is ${errorClass}, and the SDK asks once`, async () => {
        cloud.ec2.failNext(code, { action: "RunInstances", times: 4 });
        const before = cloud.ec2.calls.length;
        const error = await launch();
        expect(error.errorClass).to.equal(errorClass);
        expect(error.code).to.equal(code);
        const calls = cloud.ec2.calls.slice(before).filter((call) => call.action === "RunInstances");
        if (errorClass !== "no-capacity" && !code.startsWith("Unsupported")) expect(calls).to.have.length(1);
        cloud.ec2.forgetFailures();
      });
    }
  }

  it("are known with Client. and Server. before them", async () => {
    for (const code of ["Client.RequestLimitExceeded", "Server.InsufficientInstanceCapacity"]) {
      cloud.ec2.failNext(code, { action: "RunInstances", times: 4, status: 400 });
      const error = await launch();
      expect(error.code).to.equal(code.replace(/^\w+\./, ""));
      expect(error.errorClass).to.equal(code.startsWith("Client") ? "rate-limited" : "no-capacity");
      cloud.ec2.forgetFailures();
      cloud.advance(60_000);
    }
  });

  it("say how long a throttled queue waits", async () => {
    cloud.ec2.failNext("RequestLimitExceeded");
    expect(await launch())
      .to.be.instanceOf(RateLimitedError)
      .with.property("retryAfterMs", THROTTLED_RETRY_AFTER_MS);
  });

  it("go by status where nobody knows the code", async () => {
    const cases: [number, ErrorClass][] = [
      [400, "invalid-spec"],
      [401, "unauthorized"],
      [403, "unauthorized"],
      [408, "transient"],
      [429, "rate-limited"],
      [500, "transient"],
      [503, "transient"],
    ];
    for (const [status, errorClass] of cases) {
      cloud.ec2.failNext("NeverHeardOf", { status });
      expect((await launch()).errorClass, String(status)).to.equal(errorClass);
    }
  });

  it("tell a host that is not free from other room, wherever in the walk it was refused", async () => {
    cloud.ec2.failNext("UnavailableHostRequirements", { action: "RunInstances" });
    cloud.ec2.failNext("InsufficientInstanceCapacity", { action: "RunInstances", times: 4 });
    expect(await launch()).to.have.property("waitsForHost", true);
    cloud.ec2.forgetFailures();
    cloud.advance(60_000);
    cloud.ec2.failNext("InsufficientInstanceCapacity", { action: "RunInstances", times: 4 });
    expect(await launch()).to.have.property("waitsForHost", false);
    cloud.ec2.forgetFailures();
  });

  it("stand in one list each", () => {
    for (const code of refusalCodes.keys()) expect(endCodes.has(code), code).to.equal(false);
  });
});

describe("failures without an answer", () => {
  const never = new AbortController().signal;
  const launchWith = async (
    options: Parameters<typeof createTestCloud>[1],
    prepare?: (c: TestCloud) => void,
  ) => {
    const cloud = await createTestCloud({}, options);
    prepare?.(cloud);
    const order = cloud.order("l-1", 1, { image: { id: IMAGE } });
    const error = (await failure(cloud.provider.launch(order, never))) as ProvisionError;
    await cloud.close();
    return error;
  };

  it("are transient when nobody listens", async () => {
    const error = await launchWith({ endpoint: "http://127.0.0.1:9" });
    expect(error).to.include({ errorClass: "transient", code: "ECONNREFUSED" });
  });

  it("are transient when the connection breaks", async () => {
    const error = await launchWith({}, ({ ec2 }) => ec2.loseNextResponse());
    expect(error).to.include({ errorClass: "transient", code: "ECONNRESET" });
  });

  it("are transient when the answer takes too long", async () => {
    const error = await launchWith({ requestTimeoutMs: 100 }, ({ ec2 }) => void ec2.hangNext());
    expect(error).to.include({ errorClass: "transient", code: "ETIMEDOUT" });
  });

  it("are transient, and say so, when no credentials could be had", () => {
    for (const name of ["CredentialsProviderError", "TokenProviderError", "ExpiredTokenException"]) {
      const error = sortError(
        Object.assign(new Error("Error response received"), { name }),
        "EC2 RunInstances",
      );
      expect(error).to.include({ errorClass: "transient", code: name });
      expect(error.message).to.contain("no valid AWS credentials could be had");
    }
  });
});

describe("sortError", () => {
  it("keeps the cause and cuts EC2's long messages", () => {
    const cause = new EC2ServiceException({
      name: "UnauthorizedOperation",
      message: `Encoded authorization failure message: ${"x".repeat(2_000)}`,
      $fault: "client",
      $metadata: { httpStatusCode: 403 },
    });
    const error = sortError(cause, "EC2 RunInstances");
    expect(error.cause).to.equal(cause);
    expect(error.message).to.have.length.below(400);
  });

  it("takes what is no error at all for transient", () => {
    expect(sortError("boom", "x")).to.include({ errorClass: "transient" });
  });
});
