import type { Issue, Path } from "./catalog-issues.ts";
import type { CodemagicOffering, Ec2Offering, RunnerClass } from "./catalog-schema.ts";

type Platform = RunnerClass["platform"];

/** What of the platform is certain from the type's name. */
type Known = Partial<Platform>;

/** A machine of another platform than the class promises would boot the wrong script, or not at all. */
export function checkMachines(runnerClass: RunnerClass, where: Path): Issue[] {
  return runnerClass.offerings.flatMap((offering, at) => {
    const path = [...where, "offerings", at];
    return offering.provider === "ec2"
      ? checkEc2(runnerClass.platform, offering, path)
      : checkCodemagic(runnerClass.platform, offering, path);
  });
}

function checkEc2(platform: Platform, offering: Ec2Offering, where: Path): Issue[] {
  const misfits = offering.instanceTypes.flatMap((type, at) => {
    const known = platformOf(type);
    return fits(platform, known) ? [] : [misfit(type, known, platform, [...where, "instanceTypes", at])];
  });
  return misfits.length > 0 ? misfits : checkHost(offering, where);
}

function checkCodemagic(platform: Platform, { instanceType }: CodemagicOffering, where: Path): Issue[] {
  // All of its macs have Apple's processors.
  const known: Known = instanceType.startsWith("mac_") ? { os: "macos", arch: "arm64" } : { os: "linux" };
  return fits(platform, known) ? [] : [misfit(instanceType, known, platform, [...where, "instanceType"])];
}

/**
 * A `g` behind the generation is a Graviton processor, and the families t, m, c and r have no other arm64. Of further
 * families without it nothing is certain. https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
 */
function platformOf(instanceType: string): Known {
  if (/^mac1\./.test(instanceType)) return { os: "macos", arch: "x64" };
  if (/^mac/.test(instanceType)) return { os: "macos", arch: "arm64" };
  if (/^(a1|[a-z]+\d+[a-z]*g[a-z]*)\./.test(instanceType)) return { os: "linux", arch: "arm64" };
  if (/^[tmcr]\d+[a-z]*(-flex)?\./.test(instanceType)) return { os: "linux", arch: "x64" };
  return { os: "linux" };
}

function fits(platform: Platform, { os = platform.os, arch = platform.arch }: Known): boolean {
  return os === platform.os && arch === platform.arch;
}

function misfit(type: string, known: Known, platform: Platform, path: Path): Issue {
  const is = [known.os, known.arch].filter((word) => word !== undefined).join(" ");
  return { path, message: `"${type}" is ${is}, and the class is ${platform.os} ${platform.arch}` };
}

function checkHost(offering: Ec2Offering, where: Path): Issue[] {
  const isMac = offering.instanceTypes.some((type) => type.startsWith("mac"));
  if (isMac && !offering.host) return [{ path: where, message: "mac instance types need a host" }];
  if (isMac && offering.market === "spot")
    return [{ path: [...where, "market"], message: "mac instances have no spot market" }];
  if (!isMac && offering.host)
    return [{ path: [...where, "host"], message: "only mac instance types run on a host here" }];
  return [];
}
