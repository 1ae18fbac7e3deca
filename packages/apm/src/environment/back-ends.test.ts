import { describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { apmConfigFromEnvironment } from './index.js';

describe('apmConfigFromEnvironment with the real back ends', () => {
  it('makes each of them of its variables, and a sampler that the manager takes', async () => {
    const { config, warnings } = await apmConfigFromEnvironment({
      OTEL_TRACES_EXPORTER: 'otlp,jaeger,zipkin,datadog,elastic,newrelic,console,memory',
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.5',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:4318',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
      OTEL_EXPORTER_ZIPKIN_ENDPOINT: 'http://localhost:9411/api/v2/spans',
      OTEL_EXPORTER_ZIPKIN_TIMEOUT: '5000',
      DD_AGENT_HOST: 'localhost',
      ELASTIC_APM_SERVER_URL: 'http://localhost:8200',
      ELASTIC_APM_SECRET_TOKEN: 'secret',
      NEW_RELIC_LICENSE_KEY: 'eu01secret',
    });
    expect(warnings).toEqual([]);
    expect(config.exporters?.map(({ id }) => id)).toHaveLength(8);
    expect(new PerformanceMonitoringManager(config).status).toBe('idle');
  });
});
