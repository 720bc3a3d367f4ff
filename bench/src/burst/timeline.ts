import { jobsOf, lowerBoundMs } from "./plan.ts";
import type { Burst } from "./run.ts";

const [WIDTH, HEIGHT, LEFT, TOP, GAP] = [860, 240, 60, 40, 70];
const CURVES = [
  ["queued", "#8b949e"],
  ["launched", "#0969da"],
  ["registered", "#bf8700"],
  ["started", "#1a7f37"],
] as const;

/** One panel for each burst, on one scale: how many jobs had come how far, and the least time the limits imply. */
export function drawTimeline(bursts: readonly { readonly title: string; readonly burst: Burst }[]): string {
  const lastMs = Math.max(...bursts.map(({ burst }) => burst.started.at(-1) ?? 0));
  const endS = Math.ceil(lastMs / 60_000) * 60;
  const panels = bursts.map(({ title, burst }, index) =>
    drawPanel(title, burst, { endS, y: TOP + index * (HEIGHT + GAP) }),
  );
  const height = TOP + bursts.length * (HEIGHT + GAP);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${LEFT + WIDTH + 30} ${height}" font-family="sans-serif" font-size="12">
<title>How far the workflow jobs of a burst had come, over time</title>
<rect width="100%" height="100%" fill="#fff"/>
${panels.join("\n")}
</svg>
`;
}

function drawPanel(title: string, burst: Burst, { endS, y }: { endS: number; y: number }): string {
  const jobs = jobsOf(burst.plan);
  const x = (ms: number) => LEFT + (ms / 1_000 / endS) * WIDTH;
  const height = (count: number) => y + HEIGHT - (count / jobs) * HEIGHT;
  const minutes = Array.from({ length: endS / 60 + 1 }, (_, minute) => minute);
  const ticks = minutes.map(
    (minute) =>
      `<text x="${x(minute * 60_000)}" y="${y + HEIGHT + 16}" text-anchor="middle">${minute} min</text>`,
  );
  const curves = CURVES.map(([name, colour]) => drawCurve(burst[name], colour, { x, height }));
  const legend = CURVES.map(
    ([name, colour], index) =>
      `<text x="${LEFT + WIDTH - 330 + index * 85}" y="${y - 8}" fill="${colour}">${name}</text>`,
  );
  const boundMs = lowerBoundMs(burst.plan);
  const bound = x(boundMs).toFixed(1);
  return `<text x="${LEFT}" y="${y - 8}" font-weight="bold">${title}</text>
<rect x="${LEFT}" y="${y}" width="${WIDTH}" height="${HEIGHT}" fill="none" stroke="#d0d7de"/>
<text x="${LEFT - 8}" y="${y + 10}" text-anchor="end">${jobs}</text><text x="${LEFT - 8}" y="${y + HEIGHT}" text-anchor="end">0</text>
<line x1="${bound}" y1="${y}" x2="${bound}" y2="${y + HEIGHT}" stroke="#cf222e" stroke-dasharray="4 3"/>
<text x="${LEFT + WIDTH}" y="${y + HEIGHT + 32}" text-anchor="end" fill="#cf222e">least by the limits: ${Math.round(boundMs / 1_000)} s; last job runs at ${Math.round((burst.started.at(-1) ?? 0) / 1_000)} s</text>
${[...ticks, ...curves, ...legend].join("\n")}`;
}

function drawCurve(
  times: readonly number[],
  colour: string,
  { x, height }: { x: (ms: number) => number; height: (count: number) => number },
): string {
  const points = times.map((ms, index) => `${x(ms).toFixed(1)},${height(index + 1).toFixed(1)}`);
  return `<polyline points="${points.join(" ")}" fill="none" stroke="${colour}" stroke-width="1.5"/>`;
}
