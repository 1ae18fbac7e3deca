/** A moment: a Date, epoch milliseconds, ISO text, or an offset from now such as `-15m` (units `s m h d`). */
export type TimeInput = Date | number | string;

const unitsMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Epoch milliseconds of a moment, or `undefined` when it is none. */
export function timeOf(input: TimeInput, nowMs: number): number | undefined {
  if (typeof input === 'number') return Number.isFinite(input) ? input : undefined;
  if (typeof input !== 'string') return Number.isNaN(input.getTime()) ? undefined : input.getTime();
  if (input === 'now') return nowMs;
  const offset = /^([+-])(\d{1,9})([smhd])$/.exec(input);
  if (offset !== null) {
    const ms = Number(offset[2]) * (unitsMs[offset[3] ?? ''] ?? 0);
    return offset[1] === '-' ? nowMs - ms : nowMs + ms;
  }
  if (!/^\d{4}-\d\d/.test(input)) return undefined;
  const ms = Date.parse(input);
  return Number.isNaN(ms) ? undefined : ms;
}
