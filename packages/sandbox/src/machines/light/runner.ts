import { setTimeout as sleep } from "node:timers/promises";
import { ask } from "./ask.ts";

/** GitHub's runner program as far as the stand-in's protocol goes. */
export interface RunnerProgram {
  /** False when GitHub knows no such registration. */
  connect(): Promise<boolean>;
  /** Waits until a job is there; null when GitHub has let go of the runner. */
  takeJob(): Promise<string | null>;
  /** Waits until the job is over. */
  runJob(): Promise<void>;
}

const POLL_TIMEOUT_MS = 60_000;
const PAUSE_MS = 200;

export function createRunnerProgram(jitConfig: string, signal: AbortSignal): RunnerProgram {
  const { serverUrl, token } = decode(jitConfig);
  const call = (path: string, method = "GET") =>
    ask(`${serverUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}` },
      timeoutMs: POLL_TIMEOUT_MS,
      signal,
    });
  return {
    async connect() {
      for (;;) {
        const { status } = await call("/session", "POST");
        // As the real program: it tries again for as long as nobody answers.
        if (status !== 0) return status === 204;
        await sleep(PAUSE_MS, undefined, { signal });
      }
    },
    async takeJob() {
      for (;;) {
        const { status, text } = await call("/message");
        if (status === 200) return text;
        if (status === 404) return null;
        if (status !== 204) await sleep(PAUSE_MS, undefined, { signal });
      }
    },
    async runJob() {
      while ((await call("/job")).text === "") await sleep(PAUSE_MS, undefined, { signal });
    },
  };
}

/** A map of file name to base64, in base64. */
function decode(jitConfig: string): { serverUrl: string; token: string } {
  const read = (text: string) => JSON.parse(Buffer.from(text, "base64").toString());
  const files = read(jitConfig) as Record<".runner" | ".credentials", string>;
  const { serverUrl } = read(files[".runner"]) as { serverUrl: string };
  const { data } = read(files[".credentials"]) as { data: { token: string } };
  return { serverUrl, token: data.token };
}
