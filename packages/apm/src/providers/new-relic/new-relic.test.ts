import { codeOf } from '@mnops/core';
import { testCall, traceExporterContract } from '@mnops/core/testing';
import { describe, expect, it } from 'vitest';
import { batchOf } from '../../delivery/span-queue.js';
import { spanOf } from '../../testing/spans.js';
import { newRelic } from './index.js';
import { newRelicFake } from './new-relic.fake.js';

const key = 'canary-license-9';

traceExporterContract({ describe, it }, 'new-relic', async () => {
  const fake = await newRelicFake(key);
  return {
    provider: newRelic({ apiKey: () => key, client: fake.client }),
    faults: fake.server,
    secrets: [key],
    received: () => fake.spans.map(({ spanId }) => spanId),
    rejectNext: fake.rejectNext,
    close: async () => {
      await fake.client.close();
      await fake.server.close();
    },
  };
});

describe('newRelic', () => {
  it("sends to the region's address with the key of each request, compressed", async () => {
    const fake = await newRelicFake(key);
    for (const region of ['us', 'eu', 'fedramp'] as const) {
      const exporter = newRelic({ region, apiKey: 'secret://newrelic#key', client: fake.client });
      await exporter.export(batchOf([spanOf({ id: 'a' })]), testCall({ secrets: { 'secret://newrelic#key': key } }));
    }
    expect(fake.asked).toEqual([
      'https://otlp.nr-data.net/v1/traces',
      'https://otlp.eu01.nr-data.net/v1/traces',
      'https://gov-otlp.nr-data.net/v1/traces',
    ]);
    expect(fake.server.requests[0]?.headers).toMatchObject({
      'content-type': 'application/x-protobuf',
      'content-encoding': 'gzip',
    });
    await fake.client.close();
    await fake.server.close();
  });

  it('cuts values that New Relic would refuse, in spans, events, links and resources, and copies nothing else', async () => {
    const fake = await newRelicFake(key);
    const exporter = newRelic({ apiKey: key, client: fake.client });
    const attributes = { long: 'x'.repeat(5_000), list: ['y'.repeat(5_000), null], n: 1, short: 'z' };
    const event = { name: 'e', timeUnixNano: 1n, attributes };
    const link = { traceId: 'c'.repeat(32), spanId: 'd'.repeat(16), attributes };
    const span = { ...spanOf({ id: 'a', attributes }), events: [event], links: [link], resource: attributes };
    const answer = await exporter.export(batchOf([span]), testCall());
    expect(answer).toEqual({ accepted: 1, rejected: 0 });
    const cut = { long: 'x'.repeat(4_095), list: ['y'.repeat(4_095), null], n: 1, short: 'z' };
    expect(fake.spans[0]).toMatchObject({
      attributes: cut,
      resource: cut,
      events: [{ attributes: cut }],
      links: [{ attributes: cut }],
    });
    expect(span.attributes.long).toHaveLength(5_000);
    await fake.client.close();
    await fake.server.close();
  });

  it('asks for smaller batches above 1 MB before it sends', async () => {
    const fake = await newRelicFake(key);
    const exporter = newRelic({ apiKey: key, client: fake.client });
    const spans = Array.from({ length: 300 }, (_, i) =>
      spanOf({ id: (i + 1).toString(16), attributes: { text: 'x'.repeat(4_000) } }),
    );
    const sending = exporter.export(batchOf(spans), testCall());
    await expect(sending).rejects.toSatisfy((error) => codeOf(error) === 'MNOPS_CORE_TOO_LARGE');
    expect(fake.server.requests).toHaveLength(0);
    await fake.client.close();
    await fake.server.close();
  });

  it('sends the key over https only, and refuses wrong options by name', () => {
    for (const [options, field] of [
      [{ apiKey: key, url: 'http://proxy' }, 'url'],
      [{ apiKey: key, region: 'asia' }, 'region'],
      [{ region: 'eu' }, 'apiKey'],
      [{ apiKey: key, licence: 'x' }, 'licence'],
    ] as const) {
      expect(() => newRelic(options as unknown as { apiKey: string })).toThrow(field);
    }
  });
});
