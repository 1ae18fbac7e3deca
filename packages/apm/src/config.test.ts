import type { SecretResolver, TraceExporter } from '@mnops/core/spi';
import { describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from './performance-monitoring-manager.js';
import { elasticApm } from './providers/elastic-apm/index.js';
import { newRelic } from './providers/new-relic/index.js';
import { otlp } from './providers/otlp/index.js';
import { zipkin } from './providers/zipkin/index.js';

describe('secret references in the options of exporters', () => {
  const secrets: SecretResolver = {
    specVersion: 1,
    kind: 'secret-resolver',
    id: 'test',
    resolve: async () => ({ reveal: () => 'x', version: '1' }),
  };
  const reference = 'secret://vendor/canary#key';
  const withReference: readonly (readonly [string, TraceExporter])[] = [
    ['headers.api-key', otlp({ url: 'http://127.0.0.1:1', headers: { plain: 'x', 'api-key': reference } })],
    ['headers.api-key', zipkin({ headers: { 'api-key': reference } })],
    ['apiKey', newRelic({ apiKey: reference })],
    ['apiKey', elasticApm({ apiKey: reference })],
    ['secretToken', elasticApm({ secretToken: reference })],
  ];

  it.each(withReference)('%s is refused without a resolver, before anything is recorded', (field, exporter) => {
    const create = (): unknown => new PerformanceMonitoringManager({ service: 'shop', exporters: [exporter] });
    expect(create).toThrow(expect.objectContaining({ code: 'MNOPS_CORE_CONFIG_INVALID' }));
    expect(create).toThrow(
      `exporters.0.${field}: expected a resolver for the secret:// reference, received none. Pass \`secrets\``,
    );
    expect(create).not.toThrow(/canary/);
    expect(() => new PerformanceMonitoringManager({ service: 'shop', exporters: [exporter], secrets })).not.toThrow();
  });

  it('other credentials need none', () => {
    const exporters = [
      otlp({ url: 'http://127.0.0.1:1', headers: { 'api-key': 'plain', other: () => reference } }),
      newRelic({ apiKey: 'plain' }),
      elasticApm(),
    ];
    expect(() => new PerformanceMonitoringManager({ service: 'shop', exporters })).not.toThrow();
  });
});
