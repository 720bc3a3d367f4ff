/** Takes text; a `Writable` is one. */
export interface LineSink {
  write(text: string): unknown;
}

/**
 * Hands over what came in one turn of the event loop as one write: standard output is written synchronously when it is
 * a file or a pipe, and a system call for each line costs more than the line. The rest goes out when the process ends,
 * however it ends but by a kill.
 */
export function batchLines(sink: LineSink, host: Pick<NodeJS.Process, "on"> = process): LineSink {
  let lines: string[] = [];
  const flush = () => {
    if (lines.length === 0) return;
    const text = lines.join("");
    lines = [];
    sink.write(text);
  };
  host.on("exit", flush);
  return {
    write(line) {
      if (lines.push(line) === 1) setImmediate(flush);
    },
  };
}
