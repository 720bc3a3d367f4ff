import type { Ec2Image } from "./types.ts";

const CANONICAL = "099720109477";
const AMAZON = "137112412989";

/** Images and SSM parameters the stand-in knows unless told otherwise: one of each kind the boot scripts serve. */
export const DEFAULT_IMAGES: readonly Ec2Image[] = [
  {
    imageId: "ami-0aa1000000000001",
    ownerId: CANONICAL,
    name: "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-20261101",
    architecture: "arm64",
    rootDeviceName: "/dev/sda1",
    creationDate: "2026-11-01T00:00:00.000Z",
  },
  {
    imageId: "ami-0aa1000000000002",
    ownerId: CANONICAL,
    name: "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20261101",
    architecture: "x86_64",
    rootDeviceName: "/dev/sda1",
    creationDate: "2026-11-01T00:00:00.000Z",
  },
  {
    imageId: "ami-0aa1000000000003",
    ownerId: AMAZON,
    ownerAlias: "amazon",
    name: "al2023-ami-2023.9.20261020.0-kernel-6.12-arm64",
    architecture: "arm64",
    rootDeviceName: "/dev/xvda",
    creationDate: "2026-10-20T00:00:00.000Z",
  },
  {
    imageId: "ami-0aa1000000000004",
    ownerId: AMAZON,
    ownerAlias: "amazon",
    name: "amzn-ec2-macos-15.7-20261012-arm64",
    architecture: "arm64_mac",
    rootDeviceName: "/dev/sda1",
    creationDate: "2026-10-12T00:00:00.000Z",
  },
];

export const DEFAULT_PARAMETERS: Readonly<Record<string, string>> = {
  "/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id":
    "ami-0aa1000000000001",
  "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id":
    "ami-0aa1000000000002",
  "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64": "ami-0aa1000000000003",
  "/aws/service/ec2-macos/sequoia/arm64_mac/latest/image_id": "ami-0aa1000000000004",
};
