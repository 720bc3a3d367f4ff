import { once } from "node:events";
import { type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";

export interface Asked {
  /** 0 when no answer came, as curl's 000. */
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

const NO_ANSWER: Asked = { status: 0, headers: {}, text: "" };

/** One HTTP request on a connection of its own, as curl makes it. Rejects only when `signal` is aborted. */
export async function ask(
  url: string,
  options: {
    readonly method?: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body?: string;
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
  },
): Promise<Asked> {
  const { method = "GET", headers, body, timeoutMs, signal } = options;
  const sent = request(url, { method, headers, agent: false, timeout: timeoutMs, signal });
  sent.on("timeout", () => sent.destroy(new Error("timeout")));
  try {
    sent.end(body);
    const [answer] = (await once(sent, "response")) as [IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk as Buffer);
    return {
      status: answer.statusCode ?? 0,
      headers: answer.headers,
      text: Buffer.concat(chunks).toString(),
    };
  } catch {
    // What comes after the end of a request that was given up is nobody's business.
    sent.on("error", () => {});
    signal.throwIfAborted();
    return NO_ANSWER;
  }
}
