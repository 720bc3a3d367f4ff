export { codemagicWorkflow } from "./codemagic-workflow.ts";
export { extractBootScript, renderUserData, USER_DATA_LIMIT } from "./render-user-data.ts";
export { type BootPlatform, bootBody, bootSource } from "./script.ts";
