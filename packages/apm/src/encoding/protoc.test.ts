import { dataSuite, partSuite } from '@mnops/tooling/parts';
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { batchOf } from '../delivery/span-queue.js';
import { plainSpan, type ReadableSpanLike, RecordedSpan } from '../tracing/recorded-span.js';
import { encodeOtlpProtobuf } from './otlp-protobuf.js';
import { decodeOtlpProtobuf } from './otlp-protobuf-decode.js';

const file = 'opentelemetry/proto/collector/trace/v1/trace_service.proto';
const type = 'opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest';

/** Spans of the SDK with all that is awkward: texts of every length and script, numbers at their ends, empty and long lists. */
function awkwardSpans(): ReadableSpan[] {
  const memory = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'säge', list: ['a', 'b'] }),
    spanProcessors: [new SimpleSpanProcessor(memory)],
  });
  const tracer = provider.getTracer('scope', '2.0');
  const link = { context: { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: 1 }, attributes: { n: 1 } };
  const texts = [
    '',
    'x',
    'ä'.repeat(24),
    'x'.repeat(48),
    'x'.repeat(49),
    '☂'.repeat(8_191),
    '😀'.repeat(5_000),
    '"\\\n\u0000',
  ];
  for (const [index, text] of texts.entries()) {
    const parent = tracer.startSpan(`parent ${text}`, {
      kind: index % 5,
      startTime: [1_700_000_000, 945_000_001],
      links: [link],
      attributes: {
        text,
        [`name ${text.slice(0, 300)}`]: 1,
        integers: [0, -1, 127, 128, 2 ** 31, 2 ** 32, -(2 ** 31), Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER],
        fractions: [0.1, -1e300, Number.POSITIVE_INFINITY],
        yes: true,
        no: false,
        none: [],
        texts: [text, 'b'],
      },
    });
    parent.addEvent(text, { why: text }, [1_700_000_001, 1]);
    parent.setStatus(text === '' ? { code: 1 } : { code: 2, message: text });
    parent.end([1_700_000_002, 999_999_999]);
  }
  return memory.getFinishedSpans();
}

dataSuite({ describe, it }, 'otlp-proto', 'OTLP protobuf, read by others', (folder) => {
  const theirs = awkwardSpans();
  const resource = { 'service.name': 'säge', list: ['a', 'b'] };
  const spans = theirs.map((span) => plainSpan(new RecordedSpan(span as unknown as ReadableSpanLike, resource)));
  const ours = encodeOtlpProtobuf(batchOf(spans));
  const official = ProtobufTraceSerializer.serializeRequest(theirs) ?? new Uint8Array();

  partSuite({ describe, it }, 'protoc', 'by protoc', (protoc) => {
    it("is what OpenTelemetry's own encoder writes", async () => {
      const schema = { folder, file, type };
      // Theirs says "not remote" of parents that do not exist, and for links; ours says nothing where nothing is known.
      const text = async (bytes: Uint8Array) => (await protoc.decode(bytes, schema)).replaceAll(/^ *flags: .*\n/gm, '');
      const said = await text(ours);
      expect(said).toContain('start_time_unix_nano: 1700000000945000001');
      expect(said).toBe(await text(official));
    });
  });

  it('is for protobufjs what it was for us', () => {
    const root = new protobuf.Root();
    root.resolvePath = (_, target) => `${folder}/${target}`;
    const Request = root.loadSync(file).lookupType(type);
    const options = { longs: String, bytes: String, defaults: false } as const;
    expect(Request.toObject(Request.decode(ours), options)['resourceSpans'][0].scopeSpans[0].spans).toHaveLength(
      spans.length,
    );
    const [a, b] = [ours, official].map((bytes) =>
      decodeOtlpProtobuf(bytes).spans.map(({ parentIsRemote, ...span }) => span),
    );
    expect(a).toEqual(b);
    expect(a).toEqual(spans.map(({ parentIsRemote, ...span }) => span));
  });
});
