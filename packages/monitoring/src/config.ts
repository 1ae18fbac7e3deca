import {
  type ConfigIssue,
  configError,
  labelMatchSchema,
  metricReductionSchema,
  parseOptions,
} from '@mnops/core/config';
import type { Clock, MetricQuery, MetricSource, Notifier, SecretResolver, ServiceIdentity } from '@mnops/core/spi';
import * as v from 'valibot';
import type { MetricRegistry, RegistryOptions } from './metrics/registry.js';
import type { AlertRule, RuleGroup } from './rules/alert-rule.js';
import { parseDuration } from './rules/duration.js';
import { compileTemplate } from './rules/template.js';

/** What a `MonitoringStackManager` is made from. */
export interface MonitoringConfig {
  /** Who this program is. Unset fields come from `MNOPS_SERVICE` and kin. */
  readonly service?: string | Partial<ServiceIdentity> | undefined;
  /** A registry of yours, or options for a new one. */
  readonly metrics?: MetricRegistry | RegistryOptions | undefined;
  /** Milliseconds between two evaluations and two samples. Default 500. */
  readonly tickMs?: number | undefined;
  readonly rules?: readonly RuleGroup[] | undefined;
  /** Where alerts are sent; every one gets every alert. */
  readonly notifiers?: readonly Notifier[] | undefined;
  /** Sources that rules can name; `registry` is the host's own. */
  readonly metricSources?: Readonly<Record<string, MetricSource>> | undefined;
  /** Samples of the own registry that are kept for queries. */
  readonly history?:
    | {
        /** Longest window in milliseconds. Default 300_000. */
        readonly windowMs?: number | undefined;
        /** Bytes of all samples. Default 16 MiB; series beyond are not kept, and counted in `stats()`. */
        readonly maxBytes?: number | undefined;
      }
    | undefined;
  /** A firing alert is sent again after this time. Default 14_400_000 (4 h). */
  readonly repeatIntervalMs?: number | undefined;
  readonly limits?:
    | {
        /** Notifications that may wait per channel. Default 1_000. */
        readonly queuedNotifications?: number | undefined;
        /** Milliseconds for one notification on one channel, retries included. Default 60_000. */
        readonly deliveryTimeoutMs?: number | undefined;
      }
    | undefined;
  /** Alerts that make `healthSource` report `unhealthy` or `degraded` while they fire. Default: severity decides. */
  readonly health?:
    | { readonly unhealthy?: readonly string[] | undefined; readonly degraded?: readonly string[] | undefined }
    | undefined;
  /** Resolves `secret://` references in channels. */
  readonly secrets?: SecretResolver | undefined;
  readonly clock?: Clock | undefined;
}

const text = v.pipe(v.string(), v.nonEmpty());
const texts = v.record(v.string(), v.string());
const positive = v.pipe(v.number(), v.finite(), v.gtValue(0));
const provider = v.custom<object>((value) => typeof value === 'object' && value !== null);

const ruleSchema = v.strictObject({
  alert: text,
  query: v.custom<MetricQuery>((value) => typeof value === 'object' && value !== null),
  above: v.optional(v.number()),
  below: v.optional(v.number()),
  source: v.optional(text),
  for: v.optional(v.string()),
  keepFiringFor: v.optional(v.string()),
  labels: v.optional(texts),
  annotations: v.optional(texts),
});

const configSchema = v.strictObject({
  service: v.optional(v.union([v.string(), v.record(v.string(), v.unknown())])),
  metrics: v.optional(
    v.custom<MetricRegistry | RegistryOptions>((value) => typeof value === 'object' && value !== null),
  ),
  tickMs: v.optional(v.pipe(v.number(), v.finite(), v.minValue(10))),
  rules: v.optional(
    v.array(v.strictObject({ name: text, interval: v.optional(v.string()), rules: v.array(ruleSchema) })),
  ),
  notifiers: v.optional(v.array(provider)),
  metricSources: v.optional(v.record(v.string(), provider)),
  history: v.optional(v.strictObject({ windowMs: v.optional(positive), maxBytes: v.optional(positive) })),
  repeatIntervalMs: v.optional(positive),
  limits: v.optional(
    v.strictObject({ queuedNotifications: v.optional(positive), deliveryTimeoutMs: v.optional(positive) }),
  ),
  health: v.optional(v.strictObject({ unhealthy: v.optional(v.array(text)), degraded: v.optional(v.array(text)) })),
  secrets: v.optional(provider),
  clock: v.optional(provider),
});

const selectionSchema = v.strictObject({
  metric: text,
  reduce: metricReductionSchema,
  windowMs: positive,
  match: v.optional(v.record(v.string(), labelMatchSchema)),
  by: v.optional(v.array(text)),
});
const querySchemas = {
  promql: v.strictObject({ promql: text }),
  ratio: v.strictObject({ ratio: v.strictObject({ part: selectionSchema, whole: selectionSchema }) }),
  selection: selectionSchema,
};

const queryOptionsSchema = v.strictObject({
  signal: v.optional(v.instance(AbortSignal)),
  timeoutMs: v.optional(positive),
  source: v.optional(text),
  atMs: v.optional(v.pipe(v.number(), v.finite())),
});

/**
 * Checks what a query asks and how, before the source is asked.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` with all issues.
 */
export function checkQueryCall(query: MetricQuery, options: unknown, can: MetricSource['capabilities']): void {
  parseOptions('query', queryOptionsSchema, options);
  const issues: ConfigIssue[] = [];
  if (typeof query === 'object' && query !== null) checkQuery(query, 'query', can, issues);
  else issues.push({ field: 'query', expected: 'a query', received: typeof query, remedy: 'Give a selection.' });
  if (issues.length > 0) throw configError('query', issues);
}

/**
 * Checks a configuration as a whole, rules included.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` with all issues.
 */
export function checkConfig(config: MonitoringConfig): void {
  parseOptions('MonitoringStackManager', configSchema, config);
  checkRules(config.rules ?? [], config.metricSources ?? {}, config.history?.windowMs ?? 300_000);
}

/** Checks rule groups against the sources they name. */
export function checkRules(
  groups: readonly RuleGroup[],
  sources: Readonly<Record<string, MetricSource>>,
  windowMs: number,
): void {
  const issues: ConfigIssue[] = [];
  const names = new Set<string>();
  if ('registry' in sources) {
    issues.push({
      field: 'metricSources.registry',
      expected: 'another key',
      received: 'the reserved key',
      remedy: 'Name the source otherwise: `registry` is the host’s own metrics.',
    });
  }
  groups.forEach((group, groupIndex) => {
    const at = `rules[${groupIndex}]`;
    if (names.has(group.name)) {
      issues.push({
        field: `${at}.name`,
        expected: 'a name used once',
        received: 'a name used before',
        remedy: 'Rename the group.',
      });
    }
    names.add(group.name);
    if (group.interval !== undefined && !(Number(parseDuration(group.interval)) > 0)) {
      issues.push(durationIssue(`${at}.interval`));
    }
    checkRepeated(group, at, issues);
    for (const [index, rule] of group.rules.entries()) {
      checkRule(rule, `${at}.rules[${index}]`, sources, windowMs, issues);
    }
  });
  if (issues.length > 0) throw configError('MonitoringStackManager', issues);
}

/** Two rules of a group with one name and the same labels would be one alert that fires and resolves in turn. */
function checkRepeated({ rules }: RuleGroup, at: string, issues: ConfigIssue[]): void {
  const seen = new Set<string>();
  for (const [index, { alert, labels = {} }] of rules.entries()) {
    const key = JSON.stringify([alert, Object.entries(labels).sort()]);
    if (seen.has(key)) {
      const remedy = 'Rename one of them, give it another label, or move it to another group.';
      const expected = 'a name with labels that no other rule of the group has';
      issues.push({ field: `${at}.rules[${index}].alert`, expected, received: 'those of a rule before', remedy });
    }
    seen.add(key);
  }
}

function checkRule(
  rule: AlertRule,
  at: string,
  sources: Readonly<Record<string, MetricSource>>,
  windowMs: number,
  issues: ConfigIssue[],
): void {
  const issue = (field: string, expected: string, received: string, remedy: string): void => {
    issues.push({ field: `${at}${field}`, expected, received, remedy });
  };
  if (rule.above === undefined && rule.below === undefined) {
    issue('', '`above`, `below` or both', 'neither', 'Give the threshold.');
  }
  for (const field of ['for', 'keepFiringFor'] as const) {
    if (rule[field] !== undefined && parseDuration(rule[field]) === undefined)
      issues.push(durationIssue(`${at}.${field}`));
  }
  for (const [name, template] of Object.entries(rule.annotations ?? {})) {
    const compiled = compileTemplate(template);
    if ('problem' in compiled)
      issue(`.annotations.${name}`, 'a template', compiled.problem, 'Use {{ $value }} or {{ $labels.name }}.');
  }
  const name = rule.source ?? 'registry';
  const source = name === 'registry' ? { capabilities: { promql: false, structured: true } } : sources[name];
  if (source === undefined) {
    const known = ['registry', ...Object.keys(sources)].join(', ');
    issue('.source', `one of ${known}`, 'an unknown name', 'Add the source to `metricSources`, or correct the name.');
    return;
  }
  checkQuery(rule.query, `${at}.query`, source.capabilities, issues);
  if (name === 'registry') checkWindow(rule.query, `${at}.query`, windowMs, issues);
}

function checkQuery(query: MetricQuery, field: string, can: MetricSource['capabilities'], issues: ConfigIssue[]): void {
  const kind = 'promql' in query ? 'promql' : 'ratio' in query ? 'ratio' : 'selection';
  const result = v.safeParse(querySchemas[kind], query);
  for (const found of result.issues ?? []) {
    const path = v.getDotPath(found);
    issues.push({
      field: path === null ? field : `${field}.${path}`,
      expected: found.expected ?? 'another value',
      received: found.input === null ? 'null' : typeof found.input,
      remedy: 'Correct the query.',
    });
  }
  if (kind === 'promql' ? can.promql : can.structured) return;
  issues.push({
    field,
    expected: can.promql ? 'PromQL text' : 'a selection or a ratio',
    received: kind,
    remedy: 'Ask in the language that the source declares in its capabilities.',
  });
}

function checkWindow(query: MetricQuery, field: string, windowMs: number, issues: ConfigIssue[]): void {
  const selections = 'promql' in query ? [] : 'ratio' in query ? [query.ratio.part, query.ratio.whole] : [query];
  for (const selection of selections) {
    if (typeof selection?.windowMs !== 'number' || selection.windowMs <= windowMs) continue;
    issues.push({
      field: `${field}.windowMs`,
      expected: `at most ${windowMs}, the history that is kept`,
      received: 'a longer window',
      remedy: 'Shorten the window, or raise `history.windowMs`.',
    });
  }
}

function durationIssue(field: string): ConfigIssue {
  return {
    field,
    expected: 'a duration such as `30s` or `1h30m`',
    received: 'other text',
    remedy: 'Write number and unit.',
  };
}
