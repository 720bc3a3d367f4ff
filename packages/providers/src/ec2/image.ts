import { DescribeImagesCommand, type DescribeImagesCommandInput } from "@aws-sdk/client-ec2";
import { GetParameterCommand } from "@aws-sdk/client-ssm";
import { type Ec2Offering, InvalidSpecError } from "@grp/core";
import type { Clients } from "./clients.ts";
import { sortError } from "./errors.ts";

/** Image publishers release every few days: minutes of age don't matter, a call for every launch would. */
const CACHE_MS = 300_000;

export interface ImageResolver {
  /** The AMI id an offering means at this moment. */
  resolve(offering: Ec2Offering, signal: AbortSignal): Promise<string>;
  /** The root device's name; InvalidSpecError if there is no such image. */
  rootDevice(region: string, imageId: string, signal: AbortSignal): Promise<string | undefined>;
}

export function createImageResolver(clients: Clients, now: () => number): ImageResolver {
  const cache = new Map<string, { readonly imageId: string; readonly at: number }>();
  return {
    async resolve(offering, signal) {
      const { image, region } = offering;
      if ("id" in image) return image.id;
      const key = JSON.stringify([region, image]);
      const known = cache.get(key);
      if (known && now() - known.at < CACHE_MS) return known.imageId;
      const imageId =
        "ssm" in image
          ? await readParameter(clients, region, image.ssm, signal)
          : await findNewest(clients, region, image, signal);
      cache.set(key, { imageId, at: now() });
      return imageId;
    },
    async rootDevice(region, imageId, signal) {
      const [image] = await describeImages(clients, region, { ImageIds: [imageId] }, signal);
      if (!image) throw new InvalidSpecError(`no image ${imageId} in ${region}`);
      return image.RootDeviceName;
    },
  };
}

async function readParameter(
  clients: Clients,
  region: string,
  name: string,
  signal: AbortSignal,
): Promise<string> {
  try {
    const answer = await clients.ssm(region).send(new GetParameterCommand({ Name: name }), {
      abortSignal: signal,
    });
    const value = answer.Parameter?.Value;
    if (value?.startsWith("ami-")) return value;
  } catch (error) {
    throw sortError(error, `SSM GetParameter ${name} in ${region}`, signal);
  }
  throw new InvalidSpecError(`SSM parameter ${name} in ${region} holds no AMI id`);
}

async function findNewest(
  clients: Clients,
  region: string,
  image: { readonly owner: string; readonly name: string },
  signal: AbortSignal,
): Promise<string> {
  const request = {
    Owners: [image.owner],
    Filters: [
      { Name: "name", Values: [image.name] },
      { Name: "state", Values: ["available"] },
    ],
  };
  const images = await describeImages(clients, region, request, signal);
  // ISO dates of one format sort as text.
  const sorted = images.toSorted((a, b) => ((a.CreationDate ?? "") < (b.CreationDate ?? "") ? 1 : -1));
  const newest = sorted[0]?.ImageId;
  if (newest) return newest;
  throw new InvalidSpecError(`no image of ${image.owner} named ${image.name} in ${region}`);
}

async function describeImages(
  clients: Clients,
  region: string,
  request: DescribeImagesCommandInput,
  signal: AbortSignal,
) {
  try {
    const command = new DescribeImagesCommand(request);
    const answer = await clients.pace.call({ region, api: "DescribeImages", signal }, () =>
      clients.ec2(region).send(command, { abortSignal: signal }),
    );
    return answer.Images ?? [];
  } catch (error) {
    throw sortError(error, `EC2 DescribeImages in ${region}`, signal);
  }
}
