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
      const name = paint('bold', printable(service));
      return [
        `${name}${virtual ? paint('dim', ' (sends no spans)') : ''}  ${figures}`,
        ...called.map(({ server, connection, calls: sent, errors: lost, durationMs: took }, index) => {
          const failures = lost === 0 ? '' : `  ${paint('red', `${lost} failed`)}`;
          const p95 = duration(took.client?.p95 ?? took.server?.p95);
          return `${index === called.length - 1 ? '└─' : '├─'} ${printable(server)}  ${connection}, ${sent} calls, P95 ${p95}${failures}`;
        }),
      ];
    })
    .join('\n');
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
  const numbers = ['calls', 'per s', 'P50', 'P95', 'P99', 'failed'];
  const nameWidth = Math.max(20, widthOf(options) - numbers.length * 11);
  const row = (name: string, values: readonly string[]): string =>
    [fitted(name, nameWidth), ...values.map((value) => fitted(value, 10, 'right'))].join(' ');
  return [
    paint('bold', row('operation', numbers)),
    ...baselines.map(({ service, operation, count, callsPerSecond, durationMs: { p50, p95, p99 }, errorShare }) =>
      row(printable(`${service}  ${operation}`), [
        String(Math.round(count)),
        callsPerSecond.toPrecision(3),
        duration(p50),
        duration(p95),
        duration(p99),
        percent(errorShare),
      ]),
    ),
  ].join('\n');
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
  const missing = notes.map((note) => paint('dim', printable(note)));
  if (verdict === 'none') return [`No cause stands out (${compared}).`, ...missing].join('\n');
  return [
    `Most likely first (${compared}):`,
    ...candidates.flatMap(({ service, version, instance, score, evidence, traceIds }, index) => {
      const name = [service, version, instance].filter((part) => part !== undefined).join(' ');
      const [example] = traceIds;
      return [
        `${index + 1}. ${paint(index === 0 ? 'red' : 'bold', printable(name))}  score ${score.toFixed(2)}`,
        ...evidence.map(({ text }) => `   - ${printable(text)}`),
        ...(example === undefined ? [] : [paint('dim', `   for example trace ${printable(example)}`)]),
      ];
    }),
    ...missing,
  ].join('\n');
}
