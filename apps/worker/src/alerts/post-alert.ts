import axios from "axios";

const TIMEOUT_MS = 10_000;

export interface PostOutcome {
  readonly isTaken: boolean;
  readonly status?: number;
  /** Of a network failure: `ECONNREFUSED`. */
  readonly code?: string;
}

/** Posts JSON once. Never throws, and says nothing of the address: whoever knows it can post there. */
export async function postAlert(url: string, body: object, signal: AbortSignal): Promise<PostOutcome> {
  try {
    const { status } = await axios.post(url, body, {
      signal,
      timeout: TIMEOUT_MS,
      maxRedirects: 0,
      maxContentLength: 100_000,
      validateStatus: () => true,
    });
    return { isTaken: status >= 200 && status < 300, status };
  } catch (error) {
    return { isTaken: false, code: (axios.isAxiosError(error) && error.code) || "error" };
  }
}
