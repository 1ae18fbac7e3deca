// Run by a test in a process of its own, since dd-trace changes the process that it is in: makes spans through its bridge to
// OpenTelemetry, which it sends itself when the process ends, and prints what OpenTelemetry knows of them.
import { createRequire } from 'node:module';
import type { Span, SpanContext, Tracer, TracerProvider } from '@opentelemetry/api';

interface DatadogTracer {
  init(options: Readonly<Record<string, unknown>>): DatadogTracer;
  readonly TracerProvider: new () => TracerProvider & { register(): void };
}

const require = createRequire(import.meta.url);
const datadog = (require('dd-trace') as DatadogTracer).init({
  url: process.argv[2],
  service: 'shop',
  env: 'prod',
  version: '1.2',
  plugins: false,
  startupLogs: false,
});
const { ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, trace } = await import('@opentelemetry/api');
const provider = new datadog.TracerProvider();
provider.register();
const tracer: Tracer = provider.getTracer('shop-tracer', '3.1');
// A number that lies in the past would be taken as a time since the process began.
const at = (ms: number): Date => new Date(1_700_000_000_945 + ms);

const root = tracer.startSpan('GET /items', {
  kind: SpanKind.SERVER,
  startTime: at(0),
  attributes: { 'http.request.method': 'GET', 'http.route': '/items', cached: true, share: 0.5, big: 5_000_000_000 },
});
root.addEvent('retry "it"', { attempt: 2, share: 0.25, last: false, why: 'busy ☂', hosts: ['a', 'b'] }, at(1));
const linked: SpanContext = { traceId: 'c'.repeat(32), spanId: 'd'.repeat(16), traceFlags: TraceFlags.SAMPLED };
const within = trace.setSpan(ROOT_CONTEXT, root);
const child = tracer.startSpan(
  'SELECT items',
  {
    kind: SpanKind.CLIENT,
    startTime: at(2),
    attributes: { 'db.system': 'postgresql' },
    links: [{ context: linked, attributes: { why: 'batch' } }],
  },
  within,
);
child.setStatus({ code: SpanStatusCode.ERROR, message: 'no connection' });
child.end(at(5));
const inner = tracer.startSpan('sum', { startTime: at(5) }, within);
inner.end(at(6));
root.end(at(9));

const idsOf = (span: Span): Pick<SpanContext, 'traceId' | 'spanId'> => {
  const { traceId, spanId } = span.spanContext();
  return { traceId, spanId };
};
process.stdout.write(JSON.stringify([root, child, inner].map(idsOf)));
