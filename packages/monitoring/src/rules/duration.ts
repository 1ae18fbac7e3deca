/** A duration as Prometheus writes it: `30s`, `1h30m`, `250ms`. */
export type Duration = string;

const unitMs: Readonly<Record<string, number>> = {
  y: 31_536_000_000,
  w: 604_800_000,
  d: 86_400_000,
  h: 3_600_000,
  m: 60_000,
  s: 1_000,
  ms: 1,
};

/** Milliseconds of a Prometheus duration, or `undefined` when the text is not one. Units stand in falling order, each once. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  if (!/^([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m(?!s))?([0-9]+s)?([0-9]+ms)?$/.test(text) || text === '') {
    return undefined;
  }
  let total = 0;
  for (const [, count, unit] of text.matchAll(/([0-9]+)(ms|[ywdhms])/g))
    total += Number(count) * (unitMs[unit ?? ''] ?? 0);
  return total;
}
