import type { HttpClient, RequestInput } from '@mnops/core/http';
import type { TraceExporter } from '@mnops/core/spi';
import { testCall } from '@mnops/core/testing';
import { describe, expect, it } from 'vitest';
import { batchOf } from '../delivery/span-queue.js';
import { spanOf } from '../testing/spans.js';
import { datadog } from './datadog/index.js';
import { elasticApm } from './elastic-apm/index.js';
import { jaeger } from './jaeger/index.js';
import { newRelic } from './new-relic/index.js';
import { otlp } from './otlp/index.js';
import { zipkin } from './zipkin/index.js';

type Options = { readonly url: string; readonly client: HttpClient };
const receivers: readonly (readonly [string, string, (options: Options) => TraceExporter])[] = [
  ['otlp', '/v1/traces', otlp],
  ['jaeger', '/v1/traces', jaeger],
  ['newRelic', '/v1/traces', (options) => newRelic({ ...options, apiKey: 'key' })],
  ['zipkin', '/api/v2/spans', zipkin],
  ['datadog', '/v0.4/traces', datadog],
  ['elasticApm', '/intake/v2/events', elasticApm],
];

/** The addresses that an exporter asks for one batch with an event. */
async function asked(create: (options: Options) => TraceExporter, url: string): Promise<readonly string[]> {
  const addresses: string[] = [];
  const client = {
    request: async (request: RequestInput) => {
      addresses.push(String(request.url));
      throw new Error('not sent');
    },
    close: async () => undefined,
  } as unknown as HttpClient;
  const exporter = create({ url, client });
  await exporter.export(batchOf([spanOf({ id: 'a' })]), testCall()).catch(() => undefined);
  return addresses;
}

describe.each(receivers)('the address of %s', (_name, path, create) => {
  it.each([
    ['', ''],
    ['/', ''],
    [path, ''],
    [`${path}/`, ''],
    ['/behind/a/gateway', '/behind/a/gateway'],
    [`/behind/a/gateway${path}`, '/behind/a/gateway'],
    [`/behind//${path.slice(1)}//`, '/behind'],
    [`${path}x`, `${path}x`],
    [`/not${path.slice(1)}`, `/not${path.slice(1)}`],
  ])('is found from the base and from the whole: %s', async (given, before) => {
    expect(await asked(create, `https://host:8443${given}`)).toEqual([`https://host:8443${before}${path}`]);
  });

  it('keeps a query', async () => {
    const whole = `https://host${path}?region=eu`;
    expect(await asked(create, whole)).toEqual([whole]);
    expect(await asked(create, 'https://host?region=eu')).toEqual([whole]);
  });
});
