/** `850 ms`, `4.2 s`, `3 m 5 s`, `2 h 10 m`, `3 d 4 h`: two units at most, and none that says nothing. */
export function formatDuration(ms: number): string {
  if (ms < 0) return `-${formatDuration(-ms)}`;
  if (ms > 0 && ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${Number((ms / 1_000).toFixed(1))} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return join([minutes, "m"], [Math.floor(ms / 1_000) % 60, "s"]);
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return join([hours, "h"], [minutes % 60, "m"]);
  return join([Math.floor(hours / 24), "d"], [hours % 24, "h"]);
}

function join([count, unit]: [number, string], [rest, smaller]: [number, string]): string {
  return rest === 0 ? `${count} ${unit}` : `${count} ${unit} ${rest} ${smaller}`;
}

/** `2026-11-24 05:01:07Z` */
export function formatTime(ms: number): string {
  return new Date(ms)
    .toISOString()
    .replace("T", " ")
    .replace(/\.\d+Z$/, "Z");
}

/** `acme/app` */
export function formatRepository({ owner, repository }: { owner: string; repository: string }): string {
  return `${owner}/${repository}`;
}
