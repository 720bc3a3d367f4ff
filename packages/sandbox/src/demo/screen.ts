const BANNER = `
             ┌────────── ingress ───────────────┐             ┌─ worker ─┐
 GitHub ───► │ verify → parse → match → enqueue │ ─► Redis ─► │  launch  │ ─► EC2 / CodeMagic
 delivery    └────────────── 202 ───────────────┘             └──────────┘        │ boots
                                                                                  ▼
 GitHub ◄── registers, runs one job ◄── JIT config ◄── ingress: claim ◄── machine (holds only a ticket)
`;

const STYLES = { dim: 2, bold: 1, red: 31, green: 32, yellow: 33, blue: 34, magenta: 35, cyan: 36 } as const;
export type Style = keyof typeof STYLES;

/** Where the demo is told: in colour on a terminal, plain elsewhere. */
export interface Screen {
  paint(style: Style, text: string): string;
  line(text?: string): void;
  banner(): void;
  ready(name: string, what: string): void;
  note(text: string): void;
  result(isGood: boolean, text: string): void;
  fault(text: string): void;
}

export function createScreen(
  output: { isTTY?: boolean; write(text: string): unknown },
  isPlain = false,
): Screen {
  const isColoured = output.isTTY === true && !isPlain;
  const paint = (style: Style, text: string) =>
    isColoured ? `\u001b[${STYLES[style]}m${text}\u001b[0m` : text;
  const line = (text = "") => void output.write(`${text}\n`);
  const mark = (isGood: boolean) => (isGood ? paint("green", "✔") : paint("red", "✘"));
  return {
    paint,
    line,
    banner: () => line(paint("cyan", BANNER)),
    ready: (name, what) => line(`${mark(true)} ${name.padEnd(8)} ${paint("dim", what)}`),
    note: (text) => line(paint("dim", text)),
    result: (isGood, text) => line(`${mark(isGood)} ${text}`),
    fault: (text) => line(`${mark(false)} ${paint("red", text)}`),
  };
}
