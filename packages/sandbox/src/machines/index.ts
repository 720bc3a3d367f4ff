export {
  type BuildOrder,
  createMachines,
  type MachineRecord,
  type Machines,
  type MachinesOptions,
} from "./machines.ts";
