import { type ConfigIssue, configError, parseOptions } from '@mnops/core/config';
import type { Span } from '@mnops/core/spi';
import * as v from 'valibot';
import { callsSchema, dateSchema, logIssue, metricsSchema, pointIssue } from './root-cause/input-schema.js';
import { type RankInput, type RootCauseRanking, rankRootCauses as rank } from './root-cause/rank.js';
import { type ServiceMap, buildServiceMap as serviceMap } from './service-map.js';
import { spanProblem } from './span-problem.js';

const spansSchema = v.custom<Iterable<Span>>(
  (value) => typeof value === 'object' && value !== null && Symbol.iterator in value,
  'spans in a list or another iterable',
);
const rankSchema = v.strictObject({
  normal: v.optional(spansSchema),
  faulty: v.optional(spansSchema),
  metrics: v.optional(metricsSchema),
  logs: v.optional(v.custom<readonly unknown[]>(Array.isArray, 'a list of lines')),
  calls: v.optional(callsSchema),
  entry: v.optional(
    v.strictObject({
      service: v.optional(v.string()),
      operation: v.optional(v.string()),
      metric: v.optional(v.string()),
    }),
  ),
  at: v.optional(dateSchema),
});

/**
 * Ranks services by how much of a change between two windows began in them: time that a service takes itself, time that
 * passes between a caller and the called service, failures that nothing below explains, calls that are missing or new,
 * lines of the log that are, and metrics that nothing below explains. Changes within what chance explains do not
 * count: three standard errors, and more the more places are compared.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` with the field that is wrong, such as `faulty.3`.
 */
export function rankRootCauses(input: RankInput): RootCauseRanking {
  const name = 'rankRootCauses';
  parseOptions(name, rankSchema, input);
  const { normal, faulty, metrics = [], logs = [] } = input;
  refuse(name, pointIssue(metrics) ?? logIssue(logs));
  return rank({ ...input, normal: checkedSpans(name, 'normal', normal), faulty: checkedSpans(name, 'faulty', faulty) });
}

/**
 * The service map of some spans, of any number of processes, in any order.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` with the first span that is none, such as `spans.3`.
 */
export function buildServiceMap(spans: Iterable<Span>): ServiceMap {
  const name = 'buildServiceMap';
  parseOptions(name, v.object({ spans: spansSchema }), { spans });
  return serviceMap(checkedSpans(name, 'spans', spans));
}

function checkedSpans(name: string, field: string, spans: Iterable<Span> = []): readonly Span[] {
  const all = [...spans];
  for (const [index, span] of all.entries()) {
    const problem = spanProblem(span);
    if (problem === undefined) continue;
    refuse(name, {
      field: `${field}.${index}`,
      expected: 'a finished span',
      received: `another thing (${problem})`,
      remedy: 'Leave it out, or correct it.',
    });
  }
  return all;
}

function refuse(name: string, issue: ConfigIssue | undefined): void {
  if (issue !== undefined) throw configError(name, [issue]);
}
