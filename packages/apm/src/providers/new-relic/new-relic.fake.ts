import { type HttpClient, httpClient, type RequestInput } from '@mnops/core/http';
import type { SpanAttributes } from '@mnops/core/spi';
import { type OtlpFake, otlpFake } from '../otlp/otlp.fake.js';

/** New Relic's limits on loopback, and a client that brings requests to its addresses there. */
export interface NewRelicFake extends OtlpFake {
  readonly client: HttpClient;
  /** Addresses that were asked for. */
  readonly asked: readonly string[];
}

/** Starts a fake that refuses another key, payloads over 1 MB and values over 4,095 characters. */
export async function newRelicFake(key: string): Promise<NewRelicFake> {
  const fake = await otlpFake((request, body, spans) => {
    if (request.headers['api-key'] !== key) return [403, 'no such key'];
    if (Math.max(body.length, request.body.length) > 1_000_000) return [413, 'payload over 1 MB'];
    const all = spans.flatMap(({ attributes, resource, events }) => [
      attributes,
      resource,
      ...events.map((event) => event.attributes),
    ]);
    return all.some(hasLongValue) ? [400, 'a value is over 4095 characters'] : undefined;
  });
  const inner = httpClient({ maxBytes: 65_536 });
  const asked: string[] = [];
  const request = ((input: RequestInput) => {
    const { origin, pathname } = new URL(input.url);
    asked.push(`${origin}${pathname}`);
    return inner.request({ ...input, url: `${fake.server.url}${pathname}` });
  }) as HttpClient['request'];
  return { ...fake, asked, client: { request, close: () => inner.close() } };
}

function hasLongValue(attributes: SpanAttributes): boolean {
  return Object.values(attributes).some((value) =>
    [value].flat().some((item) => typeof item === 'string' && item.length > 4_095),
  );
}
