import type { Span } from '@mnops/core/spi';
import { type BenchSuite, defineBench } from '@mnops/tooling/bench';
import { buildServiceMap } from '../src/analysis/service-map.js';

const services = ['gateway', 'catalog', 'orders', 'users', 'mail'];
const scope = { name: 'bench' };
const dropped = { attributes: 0, events: 0, links: 0 };
const none = { code: 'unset' } as const;

/** An id in one piece, as decoders and generators of ids make it; a text that was padded is two. */
function idOf(value: number, bytes: number): string {
  const id = Buffer.alloc(bytes);
  id.writeUInt32BE(value, bytes - 4);
  return id.toString('hex');
}

/** Traces of ten spans: a server and a client in each of five services, the last calling a database. */
function* spansOf(count: number): Iterable<Span> {
  const resources = services.map((name) => ({ 'service.name': name }));
  const database = { 'db.system.name': 'postgresql', 'db.namespace': 'shop' };
  let parentSpanId: string | undefined;
  for (let i = 0; i < count; i += 1) {
    const depth = i % 10;
    const spanId = idOf(i + 1, 8);
    const service = depth >> 1;
    if (depth === 0) parentSpanId = undefined;
    yield {
      traceId: idOf(((i / 10) | 0) + 1, 16),
      spanId,
      ...(parentSpanId === undefined ? {} : { parentSpanId }),
      traceFlags: 1,
      name: 'call',
      kind: depth % 2 === 0 ? 'server' : 'client',
      startTimeUnixNano: 1_700_000_000_000_000_000n,
      durationNano: 1_000_000n,
      status: none,
      attributes: depth === 9 ? database : {},
      events: [],
      links: [],
      dropped,
      resource: resources[service] as Span['resource'],
      scope,
    };
    parentSpanId = spanId;
  }
}

const suite: BenchSuite = defineBench({
  package: 'apm',
  suite: 'map',
  async run(context) {
    const spans = [...spansOf(1_000_000)];
    await context.limit({
      bar: 'A9',
      name: 'service map of 1,000,000 spans of 5 services',
      unit: 's CPU',
      limit: 1,
      runs: 3,
      measure: async () => {
        const { cpuMs, result } = await context.cpuTime(() => buildServiceMap(spans));
        if (result.dependencies.length !== 5) throw new Error(`${result.dependencies.length} edges, expected 5`);
        return cpuMs / 1_000;
      },
    });
  },
});

export default suite;
