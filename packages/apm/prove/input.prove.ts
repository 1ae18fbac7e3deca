import { type Campaign, defineCampaign } from '@mnops/tooling/prove';
import { batchOf } from '../src/delivery/span-queue.js';
import { PerformanceMonitoringManager } from '../src/performance-monitoring-manager.js';
import type { IncomingHeaders } from '../src/propagation/carrier.js';
import { propagatorNames } from '../src/propagation/propagator-names.js';
import { decodeOtlpJson } from '../src/providers/otlp/decode.js';
import { encodeOtlpJson } from '../src/testing/otlp-json-text.js';
import { simulatedShop } from '../src/testing/simulated-shop.js';

const whole = encodeOtlpJson(batchOf(simulatedShop({ seed: 1, requests: 2 })));
const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';
/** Every header that any format reads, as it is when nothing is wrong with it. */
const goodHeaders: readonly (readonly [name: string, value: string])[] = [
  ['traceparent', `00-${traceId}-${spanId}-01`],
  ['tracestate', 'a=1,b=2,t@v=3,dd=s:2;o:rum;p:b7ad6b7169203331;t.dm:-4'],
  ['baggage', 'user=a%20b;p=1,tenant=c'],
  ['b3', `${traceId}-${spanId}-d`],
  ['x-b3-traceid', traceId],
  ['x-b3-spanid', spanId],
  ['x-b3-sampled', '1'],
  ['x-b3-flags', '1'],
  ['uber-trace-id', `${traceId}:${spanId}:0:3`],
  ['uberctx-user', 'a%20b'],
  ['jaeger-baggage', 'a=1,b=2'],
  ['x-amzn-trace-id', `Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=${spanId};Sampled=?`],
  ['x-datadog-trace-id', '9532127138774266268'],
  ['x-datadog-parent-id', '13235353014750950193'],
  ['x-datadog-sampling-priority', '-1'],
  ['x-datadog-origin', 'synthetics'],
  ['x-datadog-tags', '_dd.p.tid=0af7651916cd43dd,_dd.p.dm=-4'],
];
/** Bytes that a header may have when it goes out. */
const longest: Readonly<Record<string, number>> = { baggage: 8_192, 'x-datadog-tags': 512, tracestate: 4_096 + 260 };
const pieces = [
  'null',
  '{}',
  '[]',
  '-1',
  '1e400',
  '"\\ud800"',
  '"__proto__"',
  'true',
  '"9".',
  '[[[[',
  '99999999999999999999',
];

/** Damages a text in one to four places. */
function damaged(text: string, random: () => number): string {
  let result = text;
  for (let i = 0; i <= random() * 4; i += 1) {
    const at = Math.floor(random() * result.length);
    const length = Math.floor(random() * 20);
    const piece = random() < 0.5 ? (pieces[Math.floor(random() * pieces.length)] ?? '') : randomText(random, 8);
    result = result.slice(0, at) + piece + result.slice(at + length);
  }
  return result;
}

function randomText(random: () => number, longest: number): string {
  return Array.from({ length: random() * longest }, () => String.fromCharCode(random() * 0x180)).join('');
}

const campaign: Campaign = defineCampaign({
  package: 'apm',
  suite: 'input',
  bar: 'A15',
  name: 'hostile OTLP bodies and headers of every format: no throw but the one that is documented, all bounds kept',
  goal: '0 of 1,000,000',
  defaultCount: 1_000_000,
  shortCount: 5_000,
  async run({ count, random, fail, progress }) {
    const store = { maxTraces: 50, maxBytes: 2_000_000, maxSpansPerTrace: 100 };
    const analysis = { maxOperations: 50, maxDependencies: 50 };
    const apm = new PerformanceMonitoringManager({
      service: 'target',
      registerGlobals: false,
      store,
      analysis,
      propagators: propagatorNames,
    });
    await apm.start();
    for (let i = 0; i < count; i += 1) {
      if (i % 10_000 === 0) progress(i);
      try {
        // Bodies cost a thousand times a header, and most of what is wrong with them shows in the first thousands.
        if (i % 10 === 0) await body(apm, damaged(whole, random));
        else header(random, apm);
      } catch (error) {
        fail(`trial ${i}: ${String(error)}`);
      }
    }
    progress(count);
    const { traces, analysis: tables } = apm.stats();
    if (traces.traces > 50 || traces.bytes > 2_000_000)
      fail(`the store holds ${traces.traces} traces, ${traces.bytes} bytes`);
    if (tables.operations > 60) fail(`${tables.operations} operations are kept`);
    await apm.stop();
  },
});

async function body(apm: PerformanceMonitoringManager, text: string): Promise<void> {
  let spans: ReturnType<typeof decodeOtlpJson>['spans'];
  try {
    spans = decodeOtlpJson(text).spans;
  } catch (error) {
    if ((error as { code?: string }).code === 'MNOPS_APM_SPANS_INVALID') return;
    throw error;
  }
  await apm.ingest(spans);
  apm.serviceMap();
  if (({} as Record<string, unknown>)['polluted'] !== undefined) throw new Error('a prototype was changed');
}

/** Some headers of some formats, each whole, damaged, many times over, or in a form that no server gives. */
function header(random: () => number, apm: PerformanceMonitoringManager): void {
  const headers: Record<string, unknown> = {};
  for (const [name, value] of goodHeaders) {
    const chance = random();
    if (chance < 0.4) continue;
    if (chance < 0.55) headers[name] = value;
    else if (chance < 0.9) headers[name] = damaged(value, random);
    else if (chance < 0.94) headers[name] = [value, damaged(value, random)];
    else if (chance < 0.945) headers[name] = `${damaged(value, random)},`.repeat(1 + Math.floor(random() * 200));
    else headers[name] = odd[Math.floor(random() * odd.length)];
  }
  const sent: Record<string, string> = {};
  apm.trace('in', { parent: headers as IncomingHeaders }, (span) => {
    if (!/^(?!0+$)[0-9a-f]{32}$/.test(span.spanContext().traceId)) throw new Error('a trace id that is none was taken');
    apm.inject(sent);
  });
  for (const [name, value] of Object.entries(sent)) {
    if (!/^[\x20-\x7e\t]*$/.test(value)) throw new Error(`${name} goes out with characters that no header may have`);
    if (value.length > (longest[name] ?? 4_096)) throw new Error(`${name} goes out with ${value.length} characters`);
  }
  const names = Object.keys(sent).filter((name) => name.startsWith('uberctx-'));
  if (names.length > 64) throw new Error(`${names.length} headers of baggage go out`);
  const again = apm.trace('next', { parent: sent }, (span) => span.spanContext().traceId);
  if (sent['traceparent']?.slice(3, 35) !== again) throw new Error('what goes out is not read again');
}

const odd: readonly unknown[] = [null, 1, {}, [], [null], [['a']], true, '\ud800', '\u0000', 'x'.repeat(100_000)];

export default campaign;
