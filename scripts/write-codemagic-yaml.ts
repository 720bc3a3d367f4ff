import { writeFileSync } from "node:fs";
import { codemagicWorkflow } from "../packages/providers/src/boot/codemagic-workflow.ts";

/** Writes deploy/codemagic/codemagic.yaml from the boot script's source. */
writeFileSync(new URL("../deploy/codemagic/codemagic.yaml", import.meta.url), codemagicWorkflow());
