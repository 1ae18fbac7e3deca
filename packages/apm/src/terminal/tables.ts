import type { PerformanceBaseline } from '../analysis/operation-table.js';
import type { ServiceMap } from '../analysis/service-map.js';
import type { RootCauseReport } from '../questions/root-cause-query.js';
import { checkArguments } from './checked-arguments.js';
import { duration, fitted, painterOf, percent, printable, type TextOptions, widthOf } from './styles.js';

/**
 * The service map as an indented list: every service with its figures, and below it whom it calls.
 *
 * @returns Lines joined by newlines, without one at the end.
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for something that cannot be written, such as `undefined`.
 */
export function serviceMapText(map: ServiceMap, options: TextOptions = {}): string {
  checkArguments('serviceMapText', { map, options });
  const paint = painterOf(options);
  if (map.services.length === 0) return paint('dim', 'no services');
  return map.services
    .flatMap(({ service, virtual, calls, errors, durationMs }) => {
      const figures = `${calls} handled, ${percent(calls === 0 ? 0 : errors / calls)} failed, P95 ${duration(durationMs.p95)}`;
      const called = map.dependencies.filter(({ client }) => client === service);
      const name = paint('bold', shortened(service, options));
      return [
        `${name}${virtual ? paint('dim', ' (sends no spans)') : ''}  ${figures}`,
        ...called.map(({ server, connection, calls: sent, errors: lost, durationMs: took }, index) => {
          const failures = lost === 0 ? '' : `  ${paint('red', `${lost} failed`)}`;
          const p95 = duration(took.client?.p95 ?? took.server?.p95);
          return `${index === called.length - 1 ? '└─' : '├─'} ${shortened(server, options)}  ${connection}, ${sent} calls, P95 ${p95}${failures}`;
        }),
      ];
    })
    .join('\n');
}

/** A name in a line that says more than it: half of the line at most. */
function shortened(name: string, options: TextOptions): string {
  return fitted(printable(name), Math.floor(widthOf(options) / 2)).trimEnd();
}

const longestSentence = 600;

/** A sentence may be longer than a line, but no name in it makes it endless. */
function sentence(text: string): string {
  return fitted(printable(text), longestSentence).trimEnd();
}

/**
 * Baselines as a table, in the order given.
 *
 * @returns Lines joined by newlines, without one at the end.
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for something that cannot be written, such as `undefined`.
 */
export function baselineTable(baselines: readonly PerformanceBaseline[], options: TextOptions = {}): string {
  checkArguments('baselineTable', { baselines, options });
  const paint = painterOf(options);
  if (baselines.length === 0) return paint('dim', 'no baselines');
  const width = widthOf(options);
  const column = width < 100 ? 8 : 10;
  // Where they would not fit beside the names, the two that are asked for least are left out.
  const all = ['calls', 'per s', 'P50', 'P95', 'P99', 'failed'];
  const shown = all.filter((title) => width >= 74 || (title !== 'per s' && title !== 'P99'));
  // Where some are of one hour only, it is said of each.
  const hourly = baselines.some(({ bucket }) => bucket !== 'all');
  const nameWidth = Math.max(20, width - shown.length * (column + 1) - (hourly ? 14 : 0));
  const row = (name: string, values: readonly string[]): string =>
    [
      fitted(name, nameWidth),
      ...values.filter((_, index) => shown.includes(all[index] ?? '')).map((value) => fitted(value, column, 'right')),
    ].join(' ');
  return [
    paint('bold', `${row('operation', all)}${hourly ? '  spans of' : ''}`),
    ...baselines.map(
      ({ service, operation, kind, bucket, count, callsPerSecond, durationMs: { p50, p95, p99 }, errorShare }) =>
        `${row(printable(`${service}  ${operation}`), [
          String(Math.round(count)),
          callsPerSecond.toPrecision(3),
          ...[p50, p95, p99].map(kind === 'metric' ? plainNumber : duration),
          percent(errorShare),
        ])}${hourly ? `  ${bucket.replaceAll('-', ' ')}` : ''}`,
    ),
  ].join('\n');
}

/** What a metric has is in a unit of its own. */
function plainNumber(value: number | undefined): string {
  return value === undefined || !Number.isFinite(value) ? '-' : String(Number(value.toPrecision(4)));
}

/**
 * A root-cause report in words: the verdict, then each candidate with its evidence, and what could not be asked.
 *
 * @returns Lines joined by newlines, without one at the end.
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for something that cannot be written, such as `undefined`.
 */
export function rootCauseText(report: RootCauseReport, options: TextOptions = {}): string {
  checkArguments('rootCauseText', { report, options });
  const { verdict, candidates, traces, notes } = report;
  const paint = painterOf(options);
  const compared = `${traces.normal} traces before, ${traces.faulty} after`;
  const missing = notes.map((note) => paint('dim', sentence(note)));
  if (verdict === 'none') return [`No cause stands out (${compared}).`, ...missing].join('\n');
  return [
    `Most likely first (${compared}):`,
    ...candidates.flatMap(({ service, version, instance, score, evidence, traceIds }, index) => {
      const name = [service, version, instance].filter((part) => part !== undefined).join(' ');
      const [example] = traceIds;
      return [
        `${index + 1}. ${paint(index === 0 ? 'red' : 'bold', shortened(name, options))}  score ${score.toFixed(2)}`,
        ...evidence.map(({ text }) => `   - ${sentence(text)}`),
        ...(example === undefined ? [] : [paint('dim', `   for example trace ${printable(example)}`)]),
      ];
    }),
    ...missing,
  ].join('\n');
}
