import type { APMConfig } from '../config.js';
import { type ExporterLoader, exportersFrom } from './exporters.js';
import { propagatorsFrom } from './propagators.js';
import { samplerFrom } from './sampler.js';
import { serviceFrom } from './service.js';
import { defined, Variables } from './variables.js';

/** What the variables of the environment say. */
export interface EnvironmentConfig {
  /** For `new PerformanceMonitoringManager(config)`; change what you want to have otherwise. */
  readonly config: APMConfig;
  /** True when `OTEL_SDK_DISABLED` is; the configuration then records and sends nothing. */
  readonly disabled: boolean;
  /** One line for each variable that was ignored: its name, why, and what to do; never its value. */
  readonly warnings: readonly string[];
}

const logLevels = ['none', 'error', 'warn', 'info', 'debug', 'verbose', 'all'];

/** Reads variables with a loader of back ends; see `apmConfigFromEnvironment`. */
export async function readEnvironment(
  source: Readonly<Record<string, string | undefined>>,
  load: ExporterLoader,
): Promise<EnvironmentConfig> {
  const variables = new Variables(source);
  const { warnings } = variables;
  if (variables.has('OTEL_CONFIG_FILE')) {
    variables.say(
      'OTEL_CONFIG_FILE is set, so no other variable counts, and files of its kind are not read. Unset it for this program.',
    );
    return { config: {}, disabled: false, warnings };
  }
  variables.choice(['OTEL_LOG_LEVEL'], Object.fromEntries(logLevels.map((level) => [level, level])));
  const service = serviceFrom(variables);
  const propagators = propagatorsFrom(variables);
  const given = {
    ...(Object.keys(service).length === 0 ? {} : { service }),
    ...(propagators === undefined ? {} : { propagators }),
  };
  if (variables.flag('OTEL_SDK_DISABLED')) {
    // Trace headers go on all the same, as OpenTelemetry says.
    return {
      config: { ...given, analysis: false, sampling: { head: { kind: 'always-off' } } },
      disabled: true,
      warnings,
    };
  }
  const head = samplerFrom(variables);
  const queue = queueFrom(variables);
  const spanLimits = limitsFrom(variables);
  const exporters = await exportersFrom(variables, load);
  const config = {
    ...given,
    ...(exporters.length === 0 ? {} : { exporters }),
    ...(Object.keys(queue).length === 0 ? {} : { queue }),
    ...(Object.keys(spanLimits).length === 0 ? {} : { spanLimits }),
    ...(head === undefined ? {} : { sampling: { head } }),
  };
  return { config, disabled: false, warnings };
}

function queueFrom(variables: Variables): NonNullable<APMConfig['queue']> {
  const maxSpans = variables.count(['OTEL_BSP_MAX_QUEUE_SIZE']);
  let batchSpans = variables.count(['OTEL_BSP_MAX_EXPORT_BATCH_SIZE']);
  if (batchSpans !== undefined && batchSpans > (maxSpans ?? 8_192)) {
    variables.warn(
      'OTEL_BSP_MAX_EXPORT_BATCH_SIZE',
      'is more than the queue holds',
      'Set OTEL_BSP_MAX_QUEUE_SIZE to as much at least.',
    );
    batchSpans = undefined;
  }
  return defined({
    maxSpans,
    batchSpans,
    delayMs: variables.count(['OTEL_BSP_SCHEDULE_DELAY'], 0),
    exportTimeoutMs: variables.count(['OTEL_BSP_EXPORT_TIMEOUT']),
  });
}

function limitsFrom(variables: Variables): NonNullable<APMConfig['spanLimits']> {
  // The second name is the one that OpenTelemetry's SDK for JavaScript reads.
  const entryAttributes = (entry: 'EVENT' | 'LINK'): number | undefined =>
    variables.count([
      `OTEL_${entry}_ATTRIBUTE_COUNT_LIMIT`,
      `OTEL_SPAN_ATTRIBUTE_PER_${entry}_COUNT_LIMIT`,
      'OTEL_ATTRIBUTE_COUNT_LIMIT',
    ]);
  return defined({
    attributes: variables.count(['OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT', 'OTEL_ATTRIBUTE_COUNT_LIMIT']),
    valueLength: variables.count(['OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT', 'OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT']),
    events: variables.count(['OTEL_SPAN_EVENT_COUNT_LIMIT']),
    links: variables.count(['OTEL_SPAN_LINK_COUNT_LIMIT']),
    eventAttributes: entryAttributes('EVENT'),
    linkAttributes: entryAttributes('LINK'),
  });
}
