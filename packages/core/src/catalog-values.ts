import { z } from "zod";
import { unlessMissing } from "./catalog-issues.ts";
import { FLAG_RULE, FLAG_WORDS, readFlag } from "./flag.ts";

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

const toMs = (text: string) => Number(text.slice(0, -1)) * UNIT_MS[text.at(-1) as keyof typeof UNIT_MS];

/** `90s`, `5m`, `6h`, `1d` as milliseconds, within bounds that are written so too, both included. */
export const duration = (least: string, most: string) => {
  const error = `must be a duration from ${least} to ${most} such as "90s", "5m" or "6h"`;
  return z
    .string(unlessMissing(error))
    .regex(/^\d+(s|m|h|d)$/, error)
    .transform(toMs)
    .refine((ms) => ms >= toMs(least) && ms <= toMs(most), error);
};

/** A YAML number, or the same as text (what an environment variable can hold); nothing else counts as one. */
export const number = (rule: z.ZodNumber) => {
  const error = "must be a number";
  const asText = z
    .string()
    .regex(/^\d+(\.\d+)?$/, error)
    .transform(Number);
  return z.union([z.number(), asText], unlessMissing(error)).pipe(rule);
};

/** Some text. */
export const text = z.string().min(1);

/** A YAML boolean, or a word for one as text (what an environment variable can hold), which 1 and 0 are also as numbers. */
export const flag = () => {
  const asText = z.string().regex(FLAG_WORDS, FLAG_RULE);
  const rule = unlessMissing(FLAG_RULE);
  return z
    .union([z.boolean(), z.literal([0, 1], rule), asText], rule)
    .transform((given) => readFlag(String(given)) === true);
};

/** A YAML list, or one text with commas (what an environment variable can hold); an empty text is an empty list. */
export const listOf = (item: z.ZodString, fewest = 1) => {
  const asText = z
    .string()
    .transform((list) => (list.trim() === "" ? [] : list.split(",").map((one) => one.trim())));
  const items = z.array(item).min(fewest);
  return z
    .union([items, asText], unlessMissing("must be a list, or one text with commas between"))
    .pipe(items);
};

/** Of a repository. */
export const fullName = z.string().regex(/^[\w.-]+\/[\w.-]+$/, 'must be a repository as "owner/name"');
