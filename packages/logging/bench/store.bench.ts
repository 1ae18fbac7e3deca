import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { LogAggregationManager, type LogEntryInput } from '@mnops/logging';
import { type BenchSuite, defineBench } from '@mnops/tooling/bench';

const count = 300_000;
const needle = 'needle4711';

/** Service entries with random ids, as many programs write them; always the same. */
function* entries(): Generator<LogEntryInput> {
  const paths = ['/orders', '/orders/42', '/cart', '/healthz', '/login'];
  for (let index = 0; index < count; index += 1) {
    const random = createHash('sha256').update(String(index)).digest('hex');
    yield {
      time: 1_700_000_000_000 + index * 7,
      level: index % 50 === 0 ? 'error' : 'info',
      message: index === 31_337 ? `found ${needle}` : index % 50 === 0 ? 'upstream timed out' : 'request completed',
      logger: 'http',
      traceId: random.slice(0, 32),
      spanId: random.slice(32, 48),
      attributes: {
        method: 'GET',
        path: paths[index % 5],
        status: index % 50 === 0 ? 504 : 200,
        durationMs: Number.parseInt(random.slice(48, 51), 16) / 10,
        host: `web-${index % 8}`,
      },
    };
  }
}

async function bytesOf(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(folder, { recursive: true })) bytes += (await stat(join(folder, name))).size;
  return bytes;
}

const suite: BenchSuite = defineBench({
  package: 'logging',
  suite: 'store',
  async run(ctx) {
    const folder = await mkdtemp(join(tmpdir(), 'mnops-bench-'));
    const logs = new LogAggregationManager({ service: 'bench', sinks: [], folder, store: { blockBytes: 4 << 20 } });
    try {
      await logs.start();
      let batch: LogEntryInput[] = [];
      const text: string[] = [];
      const { cpuMs } = await ctx.cpuTime(async () => {
        for (const entry of entries()) {
          text.push(JSON.stringify({ ...entry, resource: { 'service.name': 'bench' } }));
          if (batch.push(entry) === 1000) {
            await logs.append(batch);
            batch = [];
          }
        }
        await logs.flush();
      });
      ctx.note(`${Math.round(count / (cpuMs / 1000))} entries per CPU second, durable, sealing included`);
      await logs.stop();
      const zipped = gzipSync(text.join('\n'), { level: 6 });
      await ctx.compare({
        bar: 'B5',
        name: 'store on disk with index',
        unit: 'bytes',
        kind: 'cost',
        goal: 1 / 0.8,
        runs: 1,
        ours: () => bytesOf(folder),
        peer: 'gzip -6 of the lines',
        theirs: () => zipped.length,
      });
      const again = new LogAggregationManager({ service: 'bench', sinks: [], folder });
      await again.start();
      await again.search({ text: needle });
      await ctx.compare({
        bar: 'B7',
        name: 'search of a needle in 300,000 entries',
        unit: 'ms CPU',
        kind: 'cost',
        goal: 50,
        ours: async () => {
          const { cpuMs: cost, result } = await ctx.cpuTime(() => again.search({ text: needle }));
          if (result.entries.length !== 1) throw new Error('the needle was not found');
          return cost;
        },
        peer: 'gunzip and indexOf',
        theirs: async () => (await ctx.cpuTime(() => gunzipSync(zipped).indexOf(needle))).cpuMs,
      });
      await again.stop();
    } finally {
      await logs.stop();
      await rm(folder, { recursive: true, force: true });
    }
  },
});

export default suite;
