export { type CodemagicProviderOptions, createCodemagicProvider, type LiveBuild } from "./codemagic/index.ts";
export { createEc2Provider } from "./create-ec2-provider.ts";
export { type DryRunOptions, dryRun } from "./dry-run.ts";
export { type Ec2Provider, type Ec2ProviderOptions, ec2Regions } from "./ec2/provider.ts";
export { metered, type ProviderCall } from "./metered.ts";
