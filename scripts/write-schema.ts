import { writeFileSync } from "node:fs";
import { catalogJsonSchema } from "../packages/core/src/index.ts";

// `runners.schema.json` is generated; a test of packages/core says when it is out of date.
writeFileSync(
  new URL("../runners.schema.json", import.meta.url),
  `${JSON.stringify(catalogJsonSchema(), null, 2)}\n`,
);
