import { renderUserData } from "./boot/render-user-data.ts";
import {
  createEc2Provider as createBareEc2Provider,
  type Ec2Provider,
  type Ec2ProviderOptions,
} from "./ec2/provider.ts";

/** The EC2 provider with our boot script as user data, unless another is given. */
export function createEc2Provider(
  options: Omit<Ec2ProviderOptions, "renderUserData"> & Partial<Pick<Ec2ProviderOptions, "renderUserData">>,
): Ec2Provider {
  return createBareEc2Provider({ renderUserData, ...options });
}
