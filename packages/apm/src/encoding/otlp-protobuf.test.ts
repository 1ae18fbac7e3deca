import { codeOf } from '@mnops/core';
import type { Span, SpanAttributes } from '@mnops/core/spi';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { batchOf } from '../delivery/span-queue.js';
import { spanOf } from '../testing/spans.js';
import { encodeOtlpProtobuf } from './otlp-protobuf.js';
import { decodeOtlpProtobuf } from './otlp-protobuf-decode.js';

/** One span there and back. */
function back(span: Span): Span | undefined {
  const { spans, rejected } = decodeOtlpProtobuf(encodeOtlpProtobuf(batchOf([span])));
  expect(rejected).toBe(0);
  return spans[0];
}

const id = (digits: number) =>
  fc
    .array(fc.integer({ min: 0, max: 15 }), { minLength: digits, maxLength: digits })
    .map((list) => list.map((digit) => digit.toString(16)).join(''))
    .filter((text) => !/^0+$/.test(text));
const nanos = fc.bigInt({ min: 0n, max: (1n << 63n) - 1n });
/** Texts of all lengths around the writer's limits, in one-byte characters and in all. */
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc
    .tuple(
      fc.constantFrom('a', 'ä', '☂', '😀'),
      fc.constantFrom(40, 47, 48, 49, 100, 127, 128, 5_461, 8_191, 8_192, 20_000),
    )
    .map(([one, count]) => one.repeat(count)),
);
const number = fc.oneof(fc.maxSafeInteger(), fc.integer(), fc.double());
const attributes = fc
  .dictionary(
    fc.string({ unit: 'binary', minLength: 1, maxLength: 200 }),
    fc.oneof(
      text,
      number,
      fc.boolean(),
      fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.constant(null)), { maxLength: 5 }),
      fc.array(fc.oneof(number, fc.constant(null)), { maxLength: 5 }),
      fc.array(fc.oneof(fc.boolean(), fc.constant(null)), { maxLength: 5 }),
    ),
    { maxKeys: 8, noNullPrototype: true },
  )
  .map((given) => given as SpanAttributes);
const anySpan: fc.Arbitrary<Span> = fc
  .record({
    traceId: id(32),
    spanId: id(16),
    parentSpanId: fc.option(id(16), { nil: undefined }),
    parentIsRemote: fc.option(fc.boolean(), { nil: undefined }),
    traceState: fc.option(fc.constantFrom('a=1', 'b=2,c=3'), { nil: undefined }),
    traceFlags: fc.integer({ min: 0, max: 255 }),
    name: text,
    kind: fc.constantFrom('internal', 'server', 'client', 'producer', 'consumer'),
    startTimeUnixNano: nanos,
    durationNano: nanos,
    status: fc.oneof(
      fc.record({ code: fc.constantFrom('unset', 'ok', 'error') }),
      fc.record({ code: fc.constantFrom('unset', 'ok', 'error'), message: text.filter((message) => message !== '') }),
    ),
    attributes,
    events: fc.array(fc.record({ name: text, timeUnixNano: nanos, attributes }), { maxLength: 3 }),
    links: fc.array(
      fc.record({ traceId: id(32), spanId: id(16), traceState: fc.constantFrom('a=1', undefined), attributes }),
      { maxLength: 3 },
    ),
    dropped: fc.record({ attributes: fc.nat(), events: fc.nat(), links: fc.nat() }),
    resource: attributes,
    scope: fc.record({ name: text, version: fc.constantFrom('1.0', undefined) }),
  })
  .map((span) => span as Span);

describe('OTLP protobuf', () => {
  it('comes back as it went, whatever a span holds', () => {
    fc.assert(
      fc.property(fc.array(anySpan, { maxLength: 4 }), (spans) => {
        const decoded = decodeOtlpProtobuf(encodeOtlpProtobuf(batchOf(spans)));
        const groups = batchOf(spans).groups.flatMap((group) => group.spans);
        expect(decoded.rejected).toBe(0);
        expect(decoded.spans).toEqual(groups.map((span) => withoutMinusZero(span)));
      }),
      { numRuns: 200 },
    );
  });

  it('keeps nanoseconds exact, up to the end of 64 bits', () => {
    for (const startTimeUnixNano of [0n, 1_700_000_000_945_000_001n, 0xffff_ffffn, (1n << 64n) - 2n]) {
      expect(back({ ...spanOf({ id: 'a' }), startTimeUnixNano, durationNano: 1n })).toMatchObject({
        startTimeUnixNano,
        durationNano: 1n,
      });
    }
  });

  it('replaces halves of characters and keeps names of Object as plain attributes', () => {
    const given = JSON.parse('{"__proto__":"a","constructor":"b","half":"x\\ud83dy"}') as Record<string, string>;
    const name = `long ${'x'.repeat(100)}\udc00`;
    const span = back({ ...spanOf({ id: 'a' }), name, attributes: given });
    expect(Object.entries(span?.attributes ?? {})).toEqual([
      ['__proto__', 'a'],
      ['constructor', 'b'],
      ['half', 'x\ufffdy'],
    ]);
    expect(span?.name).toBe(`long ${'x'.repeat(100)}\ufffd`);
  });

  it('leaves out values that no span may hold', () => {
    const given = { none: undefined, object: {}, text: 'x', call: () => 1 } as unknown as SpanAttributes;
    expect(back({ ...spanOf({ id: 'a' }), attributes: given })?.attributes).toEqual({ text: 'x' });
  });

  it('is not disturbed by a batch that failed midway, nor by names without end', () => {
    const broken = { ...spanOf({ id: 'b' }), startTimeUnixNano: 1 as unknown as bigint };
    const batch = {
      groups: [{ resource: {}, scope: { name: '' }, spans: [spanOf({ id: 'a' }), broken] }],
      spanCount: 2,
    };
    expect(() => encodeOtlpProtobuf(batch)).toThrow(TypeError);
    for (let i = 0; i < 3_000; i += 1) {
      const given = { [`name ${i}`]: i };
      expect(back({ ...spanOf({ id: 'a' }), attributes: given })?.attributes).toEqual(given);
    }
  });

  it('shares the resource among spans, and reads fields in any order', () => {
    const span = (byte: number): Buffer =>
      field(2, Buffer.concat([field(1, Buffer.alloc(16, byte)), field(2, Buffer.alloc(8, byte))]));
    const attribute = Buffer.from('0a016112021805', 'hex');
    const scopeSpans = field(2, Buffer.concat([span(1), span(2), field(1, field(1, Buffer.from('late scope')))]));
    const { spans } = decodeOtlpProtobuf(field(1, Buffer.concat([scopeSpans, field(1, field(1, attribute))])));
    expect(spans.map(({ resource, scope }) => [resource, scope.name])).toEqual([
      [{ a: 5 }, 'late scope'],
      [{ a: 5 }, 'late scope'],
    ]);
    expect(spans[0]?.resource).toBe(spans[1]?.resource);
  });

  it('counts spans without usable ids and says why', () => {
    const { spans, rejected, reasons } = decodeOtlpProtobuf(
      encodeOtlpProtobuf(batchOf([{ ...spanOf({ id: 'a' }), traceId: '0'.repeat(32) }, spanOf({ id: 'b' })])),
    );
    expect([spans.length, rejected, reasons]).toEqual([1, 1, ['traceId or spanId is not valid']]);
  });

  it('keeps numbers beyond a double as digits, bytes as base64 and nested values as their JSON', () => {
    const value = (hex: string): Buffer =>
      field(9, Buffer.concat([field(1, Buffer.from('k')), field(2, Buffer.from(hex, 'hex'))]));
    const cases: [string, unknown][] = [
      ['18ffffffffffffffff7f', '9223372036854775807'],
      ['1880808080808080808001', '-9223372036854775808'],
      ['18ffffffffffffffffff01', -1],
      ['3a0201ff', 'Af8='],
      ['2a080a020a000a021001', ['', 'true']],
      ['32090a070a016112021805', '{"a":5}'],
    ];
    for (const [hex, expected] of cases) {
      const ids = [field(1, Buffer.alloc(16, 1)), field(2, Buffer.alloc(8, 1))];
      const span = Buffer.concat([...ids, value(hex)]);
      const request = field(1, field(2, field(2, span)));
      expect(decodeOtlpProtobuf(request).spans[0]?.attributes).toEqual({ k: expected });
    }
  });

  it('refuses every cut and takes no harm from any flipped bit', () => {
    const whole = encodeOtlpProtobuf(
      batchOf([{ ...spanOf({ id: 'a', attributes: { text: 'x', list: ['a', 'b'], n: -1, d: 0.5 } }), name: 'ä' }]),
    );
    for (let length = 1; length < whole.length; length += 1) expectOurs(whole.subarray(0, length), true);
    for (let bit = 0; bit < whole.length * 8; bit += 1) {
      const flipped = Uint8Array.from(whole);
      flipped[bit >>> 3] = (flipped[bit >>> 3] as number) ^ (1 << (bit & 7));
      expectOurs(flipped, false);
    }
  });

  it('refuses values nested without end, and random bytes do no harm', () => {
    let value: Buffer = Buffer.from('0a0178', 'hex');
    for (let i = 0; i < 3_000; i += 1) value = field(5, field(1, value));
    const attribute = field(9, Buffer.concat([field(1, Buffer.from('k')), field(2, value)]));
    expectOurs(field(1, field(2, field(2, attribute))), true);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expectOurs(bytes, false);
        expectOurs(field(1, field(2, field(2, Buffer.from(bytes)))), false);
      }),
    );
  });
});

/** Decoding ends, and fails with nothing but our own error. */
function expectOurs(bytes: Uint8Array, mustFail: boolean): void {
  try {
    decodeOtlpProtobuf(bytes);
  } catch (error) {
    expect(codeOf(error)).toBe('MNOPS_APM_SPANS_INVALID');
    return;
  }
  expect(mustFail).toBe(false);
}

function field(number: number, content: Uint8Array): Buffer {
  const head = [(number << 3) | 2];
  let rest = content.length;
  for (; rest > 127; rest >>>= 7) head.push((rest & 127) | 128);
  return Buffer.concat([Buffer.from([...head, rest]), content]);
}

/** Integers have no negative zero. */
function withoutMinusZero(span: Span): Span {
  return replaced(span) as Span;
}

function replaced(value: unknown): unknown {
  if (Object.is(value, -0)) return 0;
  if (Array.isArray(value)) return value.map(replaced);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .map(([key, item]) => [key, replaced(item)]),
  );
}
