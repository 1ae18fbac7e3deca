import type { ExporterFactory, ExporterName } from './exporters.js';
import { type EnvironmentConfig, readEnvironment } from './read-environment.js';

export type { EnvironmentConfig } from './read-environment.js';

/** Each import stands alone, so that only the back ends that are named get loaded. */
const loaders: Readonly<Record<ExporterName, () => Promise<ExporterFactory>>> = {
  otlp: async () => factoryOf((await import('../providers/otlp/index.js').catch(rejected)).otlp),
  jaeger: async () => factoryOf((await import('../providers/jaeger/index.js').catch(rejected)).jaeger),
  zipkin: async () => factoryOf((await import('../providers/zipkin/index.js').catch(rejected)).zipkin),
  datadog: async () => factoryOf((await import('../providers/datadog/index.js').catch(rejected)).datadog),
  'elastic-apm': async () => factoryOf((await import('../providers/elastic-apm/index.js').catch(rejected)).elasticApm),
  'new-relic': async () => factoryOf((await import('../providers/new-relic/index.js').catch(rejected)).newRelic),
  console: async () => factoryOf((await import('../providers/console/index.js').catch(rejected)).consoleExporter),
  memory: async () => factoryOf((await import('../providers/memory/index.js').catch(rejected)).memoryExporter),
};

/**
 * Reads the options of a manager from OpenTelemetry's variables (`OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`,
 * `OTEL_PROPAGATORS`, `OTEL_TRACES_EXPORTER`, `OTEL_TRACES_SAMPLER`, `OTEL_EXPORTER_OTLP_…`, `OTEL_EXPORTER_ZIPKIN_…`,
 * `OTEL_BSP_…`, the limits, `OTEL_SDK_DISABLED`), and where these are unset from those of Datadog, Elastic APM and New
 * Relic. An empty variable counts as unset. What cannot be read is ignored with a warning; nothing is thrown.
 *
 * Without `OTEL_TRACES_EXPORTER` spans go to the back ends whose address or key is set; without any they stay in the
 * process. Only the back ends that are used are loaded.
 *
 * @param environment - Default `process.env`.
 */
export async function apmConfigFromEnvironment(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<EnvironmentConfig> {
  return await readEnvironment(environment, (name) => loaders[name]());
}

/** Options come from variables, so each factory checks them itself. */
function factoryOf<Options>(factory: (options: Options) => ReturnType<ExporterFactory>): ExporterFactory {
  return (options) => factory(options as Options);
}

function rejected(error: unknown): Promise<never> {
  return Promise.reject(error);
}
