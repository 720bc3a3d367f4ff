import winston from "winston";
import Transport from "winston-transport";
import { batchLines, type LineSink } from "./batch-lines.ts";
import { redact, redactText } from "./redact.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const satisfies readonly LogLevel[];

export type LogFields = Readonly<Record<string, unknown>>;

/** A static message (`runner.provisioned`), the data in fields. Kept this small so that a test can pass a recorder. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export interface LoggerOptions {
  /** On every line, to tell the processes apart. */
  readonly app: string;
  readonly level: LogLevel;
  /** Standard output unless told otherwise, a turn of the event loop's lines at once. */
  readonly stream?: LineSink;
}

/** winston's own stream transport and JSON format do for any sink and any value what costs several times the line itself. */
class LineTransport extends Transport {
  readonly #sink: LineSink;

  constructor(sink: LineSink) {
    super();
    this.#sink = sink;
  }

  override log(info: Record<symbol, string>, next: () => void): void {
    this.#sink.write(`${info[Symbol.for("message")]}\n`);
    next();
  }
}

/** One JSON object a line. Every field passes `redact`; logging never throws. */
export function createLogger({ app, level, stream = batchLines(process.stdout) }: LoggerOptions): Logger {
  const logger = winston.createLogger({
    level,
    // What `redact` gives has no cycles and no values that JSON can't hold.
    format: winston.format.printf(({ line }) => JSON.stringify(line)),
    transports: [new LineTransport(stream)],
  });
  const write = (at: LogLevel) => {
    // Nothing is copied and redacted for a line that nobody will read.
    if (!logger.isLevelEnabled(at)) return () => undefined;
    return (message: string, fields?: LogFields) => {
      const own = { time: new Date().toISOString(), level: at, app, message: redactText(message) };
      // Twice: the line's own fields come first, and no field of the data can overwrite them.
      const line = { ...own, ...(redact(fields ?? {}) as object), ...own };
      // As one member: winston sets symbols on what it is handed, and JSON of a large object with them takes twice as long.
      logger.log({ level: at, message: "", line });
    };
  };
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}
