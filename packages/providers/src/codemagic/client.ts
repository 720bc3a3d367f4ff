import { type Budget, RateLimitedError, TransientError, UNLIMITED } from "@grp/core";
import axios, { type AxiosInstance } from "axios";
import type { z } from "zod";
import { sortFailure, sortRefusal } from "./errors.ts";
import { type CodemagicLimits, createPace } from "./pace.ts";

export interface ClientOptions {
  readonly token: string;
  /** v1: starts and cancels builds. */
  readonly apiUrl: string;
  /** v3: reads them. */
  readonly v3ApiUrl: string;
  readonly http?: AxiosInstance;
  readonly timeoutMs?: number;
  readonly now?: () => number;
  /** What CodeMagic allows, shared with all processes; without, only its own refusals hold a call back. */
  readonly budget?: Budget | undefined;
}

export interface Call {
  /** What we are doing, for the error's message. */
  readonly doing: string;
  readonly method?: "GET" | "POST";
  readonly api?: "v1" | "v3";
  readonly path: string;
  readonly params?: Readonly<Record<string, string | number>>;
  readonly body?: unknown;
  /** Leaves room for those who start and end builds. */
  readonly isBackground?: boolean | undefined;
  /** Statuses that are answers and not errors, besides 2xx. */
  readonly accept?: readonly number[];
  readonly signal: AbortSignal;
}

export interface Answer {
  readonly status: number;
  readonly data: unknown;
}

export type Client = (call: Call) => Promise<Answer>;

/** Longest piece of CodeMagic's own words that we keep. */
const MAX_DETAIL = 200;

/** One call, one try, when CodeMagic's limits allow it. What it throws is one of our errors, and holds neither the token nor what was sent. */
export function createClient(options: ClientOptions & { readonly limits: CodemagicLimits }): Client {
  const http = options.http ?? axios.create();
  const now = options.now ?? Date.now;
  const pace = createPace(options.limits, options.budget ?? UNLIMITED);
  const isShared = options.budget !== undefined;
  const bases = { v1: options.apiUrl, v3: options.v3ApiUrl };
  return async (call) => {
    const { signal, doing, api = "v1", method = "GET", accept = [], isBackground } = call;
    const leave = await pace.enter(api, { doing, isBackground });
    const response = await http
      .request<unknown>({
        method,
        url: `${bases[api].replace(/\/$/, "")}${call.path}`,
        params: call.params,
        data: call.body,
        headers: { "x-auth-token": options.token, "content-type": "application/json" },
        timeout: options.timeoutMs ?? 20_000,
        // A redirect would carry the token to another host.
        maxRedirects: 0,
        validateStatus: () => true,
        signal,
      })
      .catch((error: unknown) => {
        leave({});
        throw sortFailure(error, doing, signal);
      });
    const { status, data, headers } = response;
    leave(headers);
    if ((status >= 200 && status < 300) || accept.includes(status)) return { status, data };
    const detail = withoutSecrets(detailOf(data), options.token).slice(0, MAX_DETAIL);
    const error = sortRefusal({ status, detail, headers }, doing, { nowMs: now(), isShared });
    if (error instanceof RateLimitedError) await pace.slowDown(api, error.retryAfterMs);
    throw error;
  };
}

/** Reads an answer; one that has not its form counts as none, for the call may well have happened. */
export function read<T>(schema: z.ZodType<T>, data: unknown, doing: string): T {
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues.map((issue) => issue.path.join(".") || "answer").join(", ");
  throw new TransientError(`${doing}: CodeMagic's answer has not the expected form (${where})`, {
    code: "unexpected-answer",
  });
}

/** Should it quote what it was sent: the API token, or a machine's ticket. */
function withoutSecrets(text: string, token: string): string {
  return text.replaceAll(token, "***").replaceAll(/\bgrp1\.[\w.-]+/g, "***");
}

/** v1 answers `{error}` or `{message}`, v3 `{detail}`. */
function detailOf(data: unknown): string {
  if (typeof data !== "object" || data === null) return "";
  const { error, message, detail } = data as Record<string, unknown>;
  return [error, message, detail].find((text) => typeof text === "string") ?? "";
}
