import { type Campaign, defineCampaign } from '@mnops/tooling/prove';
import { batchOf } from '../src/delivery/span-queue.js';
import { PerformanceMonitoringManager } from '../src/performance-monitoring-manager.js';
import { readTraceContext } from '../src/propagation/trace-context.js';
import { encodeOtlpJson } from '../src/encoding/otlp-json.js';
import { decodeOtlpJson } from '../src/providers/otlp/decode.js';
import { simulatedShop } from '../src/testing/simulated-shop.js';

const whole = encodeOtlpJson(batchOf(simulatedShop({ seed: 1, requests: 2 })));
const good = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
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
  name: 'hostile OTLP bodies and trace headers: no throw but the one that is documented, all bounds kept',
  goal: '0 of 1,000,000',
  defaultCount: 1_000_000,
  shortCount: 5_000,
  async run({ count, random, fail, progress }) {
    const store = { maxTraces: 50, maxBytes: 2_000_000, maxSpansPerTrace: 100 };
    const analysis = { maxOperations: 50, maxDependencies: 50 };
    const apm = new PerformanceMonitoringManager({ service: 'target', registerGlobals: false, store, analysis });
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

function header(random: () => number, apm: PerformanceMonitoringManager): void {
  const traceparent = damaged(good, random);
  const tracestate = damaged('a=1,b=2,t@v=3', random);
  const read = readTraceContext({ traceparent, tracestate });
  if (read !== undefined && !/^[0-9a-f]{32}$/.test(read.traceId)) throw new Error('a trace id that is none was taken');
  const baggage = damaged('user=a%20b;p=1,tenant=c', random);
  apm.trace('in', { parent: { traceparent, tracestate, baggage } }, () => apm.inject({}));
}

export default campaign;
