export type { MachineFault, MachineQuirk } from "./light/fate.ts";
export { createLightMachines, type LightMachinesOptions } from "./light/light-machines.ts";
export {
  type BuildOrder,
  createMachines,
  type MachineRecord,
  type Machines,
  type MachinesOptions,
} from "./machines.ts";
