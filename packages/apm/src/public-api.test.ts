import { MnopsError } from '@mnops/core';
import { testCall } from '@mnops/core/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as analysis from './analysis/index.js';
import type { APMConfig } from './config.js';
import { apmConfigFromEnvironment } from './environment/index.js';
import { instrumentHttp } from './http/index.js';
import { PerformanceMonitoringManager } from './performance-monitoring-manager.js';
import { consoleExporter } from './providers/console/index.js';
import { datadog } from './providers/datadog/index.js';
import { elasticApm } from './providers/elastic-apm/index.js';
import { jaeger } from './providers/jaeger/index.js';
import { memoryExporter } from './providers/memory/index.js';
import { newRelic } from './providers/new-relic/index.js';
import { otlp, otlpHandler } from './providers/otlp/index.js';
import { zipkin } from './providers/zipkin/index.js';
import * as terminal from './terminal/index.js';
import { spanOf } from './testing/spans.js';
import { assembleTrace } from './trace.js';
import { traceFromJson } from './trace-json.js';

const throwing = new Proxy(
  {},
  {
    get: () => {
      throw new Error('canary');
    },
    ownKeys: () => {
      throw new Error('canary');
    },
  },
);
/** What a program without types may pass anywhere. */
const values: readonly (readonly [string, unknown])[] = [
  ['undefined', undefined],
  ['null', null],
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
  ['a negative number', -1],
  ['zero', 0],
  ['a huge number', 1e308],
  ['a bigint', 10n],
  ['true', true],
  ['an empty text', ''],
  ['a text', 'x'],
  ['a long text', 'x'.repeat(1_000_000)],
  ['a symbol', Symbol('x')],
  ['a function', () => 1],
  ['an object', {}],
  ['an object with an unknown name', { unknown: 1 }],
  ['an array', []],
  ['an array of null', [null]],
  ['a date', new Date()],
  ['no date', new Date(Number.NaN)],
  ['a Map', new Map()],
  ['a promise', Promise.resolve(1)],
  ['what throws at each look', throwing],
];

type Call = (value: never) => unknown;
const apm = new PerformanceMonitoringManager({ service: 'shop', registerGlobals: false });
const call = testCall();
const trace = assembleTrace('1'.repeat(32), [spanOf({ id: 'a' })], true);
const detectors = (['adaptive', 'sigma', 'robust', 'novelty', 'seasonal', 'tail-threshold'] as const).map((detector) =>
  analysis.createDetector({ detector }),
);

async function collect(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

const detectorCalls = detectors.flatMap((one): (readonly [string, Call])[] => [
  [`${one.id}.next(value)`, (value) => one.next(value, 0)],
  [`${one.id}.next at`, (value) => one.next(1, value)],
  [`${one.id}.score(value)`, (value) => one.score(value)],
  [`${one.id}.score noise`, (value) => one.score(1, value)],
  [`${one.id}.score at`, (value) => one.score(1, 0, value)],
  [`${one.id}.learn(value)`, (value) => one.learn(value)],
  [`${one.id}.learn at`, (value) => one.learn(1, value)],
  [`${one.id}.expected`, (value) => one.expected(value, value)],
]);
const query = { operation: 'GET /', signal: 'throughput', horizonMs: 1 } as const;
const selection = { metric: 'http_server_request_duration_seconds', reduce: 'count', windowMs: 1_000 } as const;

const options = [
  'service',
  'exporters',
  'secrets',
  'notifiers',
  'queue',
  'folder',
  'spool',
  'store',
  'sampling',
  'spanLimits',
  'analysis',
  'propagators',
  'traceOperations',
  'registerGlobals',
  'processHooks',
  'clock',
  'random',
] as const satisfies readonly (keyof APMConfig)[];

const calls: readonly (readonly [string, Call])[] = [
  ...options.map((option): readonly [string, Call] => [
    `option ${option}`,
    (value) => new PerformanceMonitoringManager({ [option]: value }),
  ]),
  ['option sampling.head', (value) => new PerformanceMonitoringManager({ sampling: { head: value } })],
  ['option sampling.head.kind', (value) => new PerformanceMonitoringManager({ sampling: { head: { kind: value } } })],
  ['traceFromJson', (value) => traceFromJson(value)],
  ['traceFromJson spans', (value) => traceFromJson({ ...trace.toJSON(), spans: value })],
  ['traceFromJson span', (value) => traceFromJson({ ...trace.toJSON(), spans: [value] })],
  ['new PerformanceMonitoringManager', (value) => new PerformanceMonitoringManager(value)],
  ['start', (value) => apm.start(value)],
  ['flush', (value) => apm.flush(value)],
  ['flush timeoutMs', (value) => apm.flush({ timeoutMs: value })],
  ['flush signal', (value) => apm.flush({ signal: value })],
  [
    'stop',
    async (value) => {
      const other = new PerformanceMonitoringManager({ service: 'x' });
      await other.stop(value);
    },
  ],
  [
    'stop graceMs',
    async (value) => {
      const other = new PerformanceMonitoringManager({ service: 'x' });
      await other.stop({ graceMs: value });
    },
  ],
  ['on event', (value) => apm.on(value, () => undefined)],
  ['on listener', (value) => apm.on('anomaly:opened', value)],
  ['trace name', (value) => apm.trace(value, () => 1)],
  ['trace options', (value) => apm.trace('x', value, () => 1)],
  ['trace work', (value) => apm.trace('x', value)],
  ['trace kind', (value) => apm.trace('x', { kind: value }, () => 1)],
  ['trace attributes', (value) => apm.trace('x', { attributes: value }, () => 1)],
  ['trace parent', (value) => apm.trace('x', { parent: value }, () => 1)],
  ['trace links', (value) => apm.trace('x', { links: value }, () => 1)],
  ['inject', (value) => apm.inject(value)],
  ['inject context', (value) => apm.inject({}, value)],
  ['extract', (value) => apm.extract(value)],
  ['withContext context', (value) => apm.withContext(value, () => apm.trace('x', () => 1))],
  ['startSpan context', (value) => apm.tracer.startSpan('x', {}, value).end()],
  ['startActiveSpan context', (value) => apm.tracer.startActiveSpan('x', {}, value, () => apm.trace('y', () => 1))],
  ['withContext work', (value) => apm.withContext(apm.extract({}), value)],
  ['ingest', (value) => apm.ingest(value)],
  ['ingest options', (value) => apm.ingest([], value)],
  ['ingest signal', (value) => apm.ingest([], { signal: value })],
  ['getTrace', (value) => apm.getTrace(value)],
  ['getTrace options', (value) => apm.getTrace('1'.repeat(32), value)],
  ['getTrace signal', (value) => apm.getTrace('1'.repeat(32), { signal: value })],
  ['findTraces', (value) => collect(apm.findTraces(value))],
  ['findTraces options', (value) => collect(apm.findTraces({}, value))],
  ['findTraces from', (value) => collect(apm.findTraces({ from: value }))],
  ['findTraces limit', (value) => collect(apm.findTraces({ limit: value }))],
  ['findTraces minDurationMs', (value) => collect(apm.findTraces({ minDurationMs: value }))],
  ['findTraces attributes', (value) => collect(apm.findTraces({ attributes: value }))],
  ['baselines', (value) => apm.baselines(value)],
  ['baselines at', (value) => apm.baselines({ at: value })],
  ['detectAnomalies', (value) => apm.detectAnomalies(value)],
  ['detectAnomalies since', (value) => apm.detectAnomalies({ since: value })],
  ['forecast', (value) => apm.forecast(value)],
  ['forecast horizonMs', (value) => apm.forecast({ ...query, horizonMs: value })],
  ['forecast coverage', (value) => apm.forecast({ ...query, coverage: value })],
  ['serviceMap', (value) => apm.serviceMap(value)],
  ['serviceMap from', (value) => apm.serviceMap({ from: value })],
  ['recordMetric', (value) => apm.recordMetric(value)],
  ['recordMetric value', (value) => apm.recordMetric({ name: 'x', kind: 'gauge', value })],
  ['recordMetric at', (value) => apm.recordMetric({ name: 'x', kind: 'gauge', value: 1, at: value })],
  ['recordMetric attributes', (value) => apm.recordMetric({ name: 'x', kind: 'gauge', value: 1, attributes: value })],
  ['mergeSnapshot', (value) => apm.mergeSnapshot(value)],
  ['findRootCause', (value) => apm.findRootCause(value)],
  ['findRootCause options', (value) => apm.findRootCause({ at: new Date() }, value)],
  ['findRootCause at', (value) => apm.findRootCause({ at: value })],
  ['findRootCause normal', (value) => apm.findRootCause({ at: new Date(), normal: value })],
  ['findRootCause maxTraces', (value) => apm.findRootCause({ at: new Date(), maxTraces: value })],
  ['findRootCause metrics', (value) => apm.findRootCause({ at: new Date(), metrics: value })],
  [
    'findRootCause points',
    (value) =>
      apm.findRootCause({ at: new Date(), metrics: [{ service: 'x', name: 'y', role: 'latency', points: value }] }),
  ],
  [
    'findRootCause point',
    (value) =>
      apm.findRootCause({ at: new Date(), metrics: [{ service: 'x', name: 'y', role: 'latency', points: [value] }] }),
  ],
  [
    'findRootCause point value',
    (value) =>
      apm.findRootCause({
        at: new Date(),
        metrics: [{ service: 'x', name: 'y', role: 'latency', points: [{ atMs: Date.now(), value }] }],
      }),
  ],
  [
    'findRootCause point at',
    (value) =>
      apm.findRootCause({
        at: new Date(),
        metrics: [{ service: 'x', name: 'y', role: 'latency', points: [{ atMs: value, value: 1 }] }],
      }),
  ],
  ['findRootCause logs', (value) => apm.findRootCause({ at: new Date(), logs: value })],
  ['findRootCause log', (value) => apm.findRootCause({ at: new Date(), logs: [value] })],
  [
    'findRootCause log message',
    (value) => apm.findRootCause({ at: new Date(), logs: [{ service: 'x', atMs: Date.now(), message: value }] }),
  ],
  [
    'findRootCause log level',
    (value) =>
      apm.findRootCause({ at: new Date(), logs: [{ service: 'x', atMs: Date.now(), message: 'x', level: value }] }),
  ],
  ['findRootCause calls', (value) => apm.findRootCause({ at: new Date(), calls: value })],
  ['metricSource.query', (value) => apm.metricSource.query(value, call)],
  ['metricSource.query call', (value) => apm.metricSource.query(selection, value)],
  ['metricSource.query atMs', (value) => apm.metricSource.query(selection, { ...call, atMs: value })],
  ['healthSource.check', (value) => apm.healthSource.check(value)],
  ['tracer.startSpan', (value) => apm.tracer.startSpan(value, value, value).end(value)],
  ['tracer.startActiveSpan', (value) => apm.tracer.startActiveSpan('x', value)],
  [
    'span',
    (value) => {
      const span = apm.tracer.startSpan('x');
      span.setAttribute(value, value);
      span.setAttributes(value);
      span.addEvent(value, value, value);
      span.addLink(value);
      span.addLinks(value);
      span.setStatus(value);
      span.updateName(value);
      span.recordException(value, value);
      span.end(value);
      span.end();
    },
  ],
  [
    'spanProcessor',
    (value) => {
      apm.spanProcessor.onStart(value, value);
      apm.spanProcessor.onEnd(value);
      apm.stats();
    },
  ],
  ['createDetector', (value) => analysis.createDetector(value)],
  ['createVectorDetector', (value) => analysis.createVectorDetector(value)],
  ['createVectorDetector dimensions', (value) => analysis.createVectorDetector({ dimensions: value })],
  ['createVectorDetector trees', (value) => analysis.createVectorDetector({ dimensions: 1, trees: value })],
  ['VectorDetector.next', (value) => analysis.createVectorDetector({ dimensions: 1 }).next(value)],
  ['forecastSeries', (value) => analysis.forecastSeries(value, { horizon: 1 })],
  [
    'forecastSeries value',
    (value) =>
      analysis.forecastSeries(
        Array.from({ length: 12 }, () => value),
        { horizon: 1, season: 2 },
      ),
  ],
  ['forecastSeries options', (value) => analysis.forecastSeries([1, 2, 3], value)],
  [
    'forecastSeries horizon',
    (value) => analysis.forecastSeries([1, 2, 1, 2, 1, 2, 1, 2], { horizon: value, season: 2 }),
  ],
  [
    'forecastSeries season',
    (value) => analysis.forecastSeries([1, 2, 1, 2, 1, 2, 1, 2], { horizon: 1, season: value }),
  ],
  [
    'forecastSeries minimum',
    (value) => analysis.forecastSeries([1, 2, 1, 2, 1, 2, 1, 2], { horizon: 1, season: 2, minimum: value }),
  ],
  ['LatencySketch.add', (value) => new analysis.LatencySketch().add(value, value)],
  ['LatencySketch.merge', (value) => new analysis.LatencySketch().merge(value)],
  ['LatencySketch.scale', (value) => new analysis.LatencySketch().scale(value)],
  ['LatencySketch.quantile', (value) => new analysis.LatencySketch().quantile(value)],
  ['LatencySketch.supportedQuantile', (value) => new analysis.LatencySketch().supportedQuantile(value)],
  ['LatencySketch.shareAbove', (value) => new analysis.LatencySketch().shareAbove(value)],
  ['LatencySketch.restored', (value) => analysis.LatencySketch.restored(value)],
  ['RunningMoments.add', (value) => new analysis.RunningMoments().add(value, value)],
  ['RunningMoments.merge', (value) => new analysis.RunningMoments().merge(value)],
  ['RunningMoments.scale', (value) => new analysis.RunningMoments().scale(value)],
  ['RunningMoments.of', (value) => analysis.RunningMoments.of(value, value, value)],
  ['rankRootCauses', (value) => analysis.rankRootCauses(value)],
  ['rankRootCauses normal', (value) => analysis.rankRootCauses({ normal: value })],
  ['rankRootCauses span', (value) => analysis.rankRootCauses({ normal: [value], faulty: [value] })],
  ['rankRootCauses metrics', (value) => analysis.rankRootCauses({ metrics: value })],
  ['rankRootCauses at', (value) => analysis.rankRootCauses({ at: value })],
  ['rankRootCauses entry', (value) => analysis.rankRootCauses({ entry: value })],
  ['rankRootCauses calls', (value) => analysis.rankRootCauses({ calls: value })],
  ['rankRootCauses logs', (value) => analysis.rankRootCauses({ logs: value })],
  ['buildServiceMap', (value) => analysis.buildServiceMap(value)],
  ['buildServiceMap span', (value) => analysis.buildServiceMap([value])],
  ['instrumentHttp', (value) => instrumentHttp(value)],
  ['instrumentHttp options', (value) => instrumentHttp(apm, value)()],
  ['apmConfigFromEnvironment', (value) => apmConfigFromEnvironment(value)],
  [
    'apmConfigFromEnvironment variable',
    (value) =>
      apmConfigFromEnvironment({ OTEL_SERVICE_NAME: value, OTEL_PROPAGATORS: value, OTEL_BSP_MAX_QUEUE_SIZE: value }),
  ],
  ...[otlp, jaeger, newRelic, zipkin, datadog, elasticApm, memoryExporter, consoleExporter].map(
    (create): readonly [string, Call] => [create.name, (value) => create(value)],
  ),
  ['otlp url', (value) => otlp({ url: value })],
  ['otlp headers', (value) => otlp({ url: 'http://a.test', headers: value })],
  ['otlp header', (value) => otlp({ url: 'http://a.test', headers: { 'api-key': value } })],
  ['otlpHandler', (value) => otlpHandler(value)],
  ['otlpHandler options', (value) => otlpHandler(apm, value)],
  ['traceTree', (value) => terminal.traceTree(value)],
  ['traceTree options', (value) => terminal.traceTree(trace, value)],
  ['traceTree width', (value) => terminal.traceTree(trace, { width: value })],
  ['traceTree maxSpans', (value) => terminal.traceTree(trace, { maxSpans: value })],
  ['serviceMapText', (value) => terminal.serviceMapText(value)],
  ['serviceMapText options', (value) => terminal.serviceMapText({ services: [], dependencies: [] }, value)],
  ['baselineTable', (value) => terminal.baselineTable(value)],
  ['baselineTable options', (value) => terminal.baselineTable([], value)],
  ['rootCauseText', (value) => terminal.rootCauseText(value)],
  ...detectorCalls,
];

beforeAll(() => apm.start());
afterAll(() => apm.stop());

describe('whatever is passed', () => {
  it.each(calls)('%s works, or says what is wrong and what to do', async (name, run) => {
    const raw: string[] = [];
    for (const [kind, value] of values) {
      try {
        await run(value as never);
      } catch (error) {
        const said = MnopsError.is(error);
        if (
          !said ||
          !(
            error.remedy !== undefined ||
            /\. (Set|Change|Remove|Pass|Give|Use)/.test(error.message) ||
            error.message.includes('The field ')
          )
        )
          raw.push(
            `${kind}: ${String((error as Error)?.stack ?? error)
              .split('\n')
              .slice(0, 3)
              .join(' ')}`,
          );
        else if (error.message.includes('canary')) raw.push(`${kind}: quotes`);
      }
    }
    expect(raw, name).toEqual([]);
  });
});
