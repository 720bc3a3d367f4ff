import type { Rule } from "../rule.ts";

/** A limit of a class or a CodeMagic team that left the catalog, once nobody holds or waits for a place under it. */
export const staleCap: Rule = {
  name: "stale-cap",
  judge: ({ caps, catalog }) => {
    const known = new Set([
      ...catalog.classes.map(({ name }) => `class:${name}`),
      ...Object.keys(catalog.codemagicTeams).map((team) => `codemagic:${team}`),
    ]);
    return caps
      .filter(({ used, waiting }) => used + waiting === 0)
      .filter(({ name }) => /^(class:[^|]+|codemagic:.*)$/.test(name) && !known.has(name))
      .map(({ name }) => ({ kind: "forget-cap" as const, name }));
  },
};
