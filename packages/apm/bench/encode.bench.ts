import { type BenchContext, type BenchSuite, defineBench } from '@mnops/tooling/bench';
import { JsonTraceSerializer, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { batchOf } from '../src/delivery/span-queue.js';
import { otlpJsonBytes } from '../src/encoding/otlp-json.js';
import { encodeOtlpProtobuf } from '../src/encoding/otlp-protobuf.js';
import { plainSpan, type ReadableSpanLike, RecordedSpan } from '../src/tracing/recorded-span.js';

const spans = 512;
const rounds = 200;
const peer = '@opentelemetry/otlp-transformer 0.223.1';

/** Finished spans of the SDK with eight attributes and one event, as a service that answers requests makes them. */
function sdkSpans(): ReadableSpan[] {
  const memory = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'checkout', 'service.version': '1.4.2' }),
    spanProcessors: [new SimpleSpanProcessor(memory)],
  });
  const tracer = provider.getTracer('@opentelemetry/instrumentation-http', '0.223.0');
  for (let i = 0; i < spans; i += 1) {
    const span = tracer.startSpan('GET /orders/:id', {
      kind: 1,
      attributes: {
        'http.request.method': 'GET',
        'http.route': '/orders/:id',
        'url.path': `/orders/${i}`,
        'http.response.status_code': 200,
        'server.address': 'shop.example.com',
        'server.port': 8443,
        'user.id': `user-${i % 50}`,
        'cache.hit': i % 2 === 0,
      },
    });
    span.addEvent('loaded', { rows: i });
    span.end();
  }
  return memory.getFinishedSpans();
}

/** Spans that are encoded in one second of processor time. */
async function perSecond(context: BenchContext, encode: () => unknown): Promise<number> {
  const { cpuMs } = await context.cpuTime(() => {
    for (let i = 0; i < rounds; i += 1) encode();
  });
  return (spans * rounds * 1_000) / cpuMs;
}

const suite: BenchSuite = defineBench({
  package: 'apm',
  suite: 'encode',
  async run(context) {
    const theirs = sdkSpans();
    const resource = { 'service.name': 'checkout', 'service.version': '1.4.2' };
    const ours = batchOf(
      theirs.map((span) => plainSpan(new RecordedSpan(span as unknown as ReadableSpanLike, resource))),
    );
    const pairs = [
      {
        name: 'OTLP protobuf: encode 512 spans, 8 attributes, 1 event',
        goal: 2.5,
        ours: () => encodeOtlpProtobuf(ours),
        theirs: () => ProtobufTraceSerializer.serializeRequest(theirs),
      },
      {
        name: 'OTLP JSON: encode 512 spans, 8 attributes, 1 event',
        goal: 3,
        ours: () => otlpJsonBytes(ours),
        theirs: () => JsonTraceSerializer.serializeRequest(theirs),
      },
    ];
    for (const pair of pairs) {
      // Compiled before the first round, as in a process that has run for some seconds.
      for (let i = 0; i < 50; i += 1) {
        pair.ours();
        pair.theirs();
      }
      await context.compare({
        bar: 'A6',
        name: pair.name,
        unit: 'spans per CPU second',
        kind: 'throughput',
        goal: pair.goal,
        peer,
        ours: () => perSecond(context, pair.ours),
        theirs: () => perSecond(context, pair.theirs),
      });
    }
  },
});

export default suite;
