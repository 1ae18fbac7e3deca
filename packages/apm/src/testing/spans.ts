import type { Span } from '@mnops/core/spi';

/** A span for tests: times in milliseconds, ids padded, everything else with a plain default. */
export interface SpanSketch {
  readonly service?: string | undefined;
  readonly version?: string | undefined;
  readonly instance?: string | undefined;
  readonly trace?: string | undefined;
  readonly id: string;
  readonly parent?: string | undefined;
  readonly name?: string | undefined;
  readonly kind?: Span['kind'] | undefined;
  readonly startMs?: number | undefined;
  readonly durationMs?: number | undefined;
  readonly error?: boolean | undefined;
  readonly attributes?: Span['attributes'] | undefined;
}

/** Makes a whole span from a sketch of one. */
export function spanOf(sketch: SpanSketch): Span {
  const { service = 'shop', version, instance, startMs = 1_700_000_000_000, durationMs = 10 } = sketch;
  return {
    traceId: hex(sketch.trace ?? '1', 32),
    spanId: hex(sketch.id, 16),
    ...(sketch.parent === undefined ? {} : { parentSpanId: hex(sketch.parent, 16) }),
    traceFlags: 1,
    name: sketch.name ?? 'work',
    kind: sketch.kind ?? 'internal',
    startTimeUnixNano: BigInt(Math.round(startMs * 1_000)) * 1_000n,
    durationNano: BigInt(Math.round(durationMs * 1e6)),
    status: { code: sketch.error === true ? 'error' : 'unset' },
    attributes: sketch.attributes ?? {},
    events: [],
    links: [],
    dropped: { attributes: 0, events: 0, links: 0 },
    resource: {
      'service.name': service,
      ...(version === undefined ? {} : { 'service.version': version }),
      ...(instance === undefined ? {} : { 'service.instance.id': instance }),
    },
    scope: { name: 'test' },
  };
}

function hex(text: string, digits: number): string {
  const clean = /^[0-9a-f]+$/.test(text) ? text : Buffer.from(text).toString('hex');
  return clean.padStart(digits, '0').slice(-digits);
}
