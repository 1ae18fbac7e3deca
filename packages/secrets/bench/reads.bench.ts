import { performance } from 'node:perf_hooks';
import { BaseProvider } from '@aws-lambda-powertools/parameters/base';
import { memory, type SecretProvider, SecretsManager } from '@mnops/secrets';
import { type BenchSuite, defineBench } from '@mnops/tooling/bench';

const peer = '@aws-lambda-powertools/parameters 2.35';
const operations = 300_000;
const concurrent = 10_000;

/** One source for both sides: a value after a delay, counted. */
function delayedSource(delayMs: number): { calls: number; read(): Promise<string> } {
  const source = {
    calls: 0,
    async read(): Promise<string> {
      source.calls += 1;
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      return 'value';
    },
  };
  return source;
}

class SourceProvider extends BaseProvider {
  readonly #source: { read(): Promise<string> };

  constructor(source: { read(): Promise<string> }) {
    super({});
    this.#source = source;
  }

  protected async _get(): Promise<string> {
    return await this.#source.read();
  }

  protected async _getMultiple(): Promise<undefined> {
    return undefined;
  }
}

function providerOf(source: { read(): Promise<string> }): SecretProvider {
  const store = memory();
  return {
    ...store,
    get: async () => ({ value: Buffer.from(await source.read()), version: '1', stages: ['current'] }),
  };
}

async function nanosPerRead(read: () => Promise<unknown>): Promise<number> {
  for (let index = 0; index < 20_000; index += 1) await read();
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 3; round += 1) {
    const before = process.cpuUsage();
    for (let index = 0; index < operations; index += 1) await read();
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, ((user + system) * 1_000) / operations);
  }
  return best;
}

const suite: BenchSuite = defineBench({
  package: 'secrets',
  suite: 'reads',
  async run({ compare, limit }) {
    const ours = new SecretsManager({ provider: memory({ values: { a: 'value' } }), audit: false });
    const audited = new SecretsManager({ provider: memory({ values: { a: 'value' } }) });
    const theirs = new SourceProvider(delayedSource(0));
    await ours.get('a');
    await audited.get('a');
    await theirs.get('a', { maxAge: 3_600 });
    const handle = ours.handle('a');
    await handle.ready();

    const warm = (): Promise<number> => nanosPerRead(() => ours.get('a'));
    await compare({
      bar: 'B2',
      name: 'warm get',
      unit: 'ns CPU',
      kind: 'cost',
      goal: 2,
      ours: warm,
      peer,
      theirs: () => nanosPerRead(() => theirs.get('a', { maxAge: 3_600 })),
      runs: 3,
    });
    const map = new Map([['a', { value: 'value', until: performance.now() + 3_600_000 }]]);
    const bare = async (path: string): Promise<string | undefined> => {
      const entry = map.get(path);
      return entry !== undefined && performance.now() < entry.until ? entry.value : undefined;
    };
    await compare({
      bar: 'B2',
      name: 'warm get beside a bare asynchronous Map read (goal: at most 1.3 times its cost)',
      unit: 'ns CPU',
      kind: 'cost',
      goal: 1 / 1.3,
      ours: warm,
      peer: 'Map with an expiry check',
      theirs: () => nanosPerRead(() => bare('a')),
      runs: 3,
    });
    await limit({
      bar: 'B2',
      name: 'what the audit of a cached read adds',
      unit: 'ns CPU',
      limit: 2_000,
      measure: async () => (await nanosPerRead(() => audited.get('a'))) - (await warm()),
      runs: 3,
    });
    const source = delayedSource(20);
    const peerSource = delayedSource(20);
    const cold = async (read: (index: number) => Promise<unknown>): Promise<void> => {
      await Promise.all(Array.from({ length: concurrent }, (_, index) => read(index)));
    };
    await compare({
      bar: 'B1',
      name: `upstream calls of ${concurrent} concurrent cold gets`,
      unit: 'calls',
      kind: 'cost',
      goal: concurrent,
      ours: async () => {
        source.calls = 0;
        const secrets = new SecretsManager({ provider: providerOf(source), audit: false });
        await cold(() => secrets.get('a'));
        await secrets.stop();
        return source.calls;
      },
      peer,
      theirs: async () => {
        peerSource.calls = 0;
        const provider = new SourceProvider(peerSource);
        await cold(() => provider.get('a'));
        return peerSource.calls;
      },
      runs: 3,
    });
    await compare({
      bar: 'B2',
      name: 'current of a handle beside Map.get (goal: at most 3 times its cost)',
      unit: 'ns CPU',
      kind: 'cost',
      goal: 1 / 3,
      ours: () => nanosPerTurn(() => handle.current),
      peer: 'Map.get',
      theirs: () => nanosPerTurn(() => map.get('a')),
      runs: 5,
    });
    for (const each of [ours, audited]) await each.stop();
    await auditFigures(limit);
  },
});

function nanosPerTurn(read: () => unknown): number {
  const turns = operations * 30;
  let absent = 0;
  const before = process.cpuUsage();
  for (let index = 0; index < turns; index += 1) if (read() === undefined) absent += 1;
  const { user } = process.cpuUsage(before);
  if (absent > 0) throw new Error('A read gave nothing.');
  return (user * 1_000) / turns;
}

async function auditFigures(limit: Parameters<BenchSuite['run']>[0]['limit']): Promise<void> {
  const { mkdtemp, rm } = await import('node:fs/promises');
  const { tmpdir } = await import('node:os');
  const { join } = await import('node:path');
  const { openAuditLog } = await import('@mnops/core/audit');
  const count = 100_000;
  const folder = await mkdtemp(join(tmpdir(), 'mnops-bench-'));
  const log = await openAuditLog({ folder, service: 'bench' });
  const event = {
    actor: 'web',
    operation: 'read',
    target: 'db/orders',
    outcome: 'ok' as const,
    details: { cached: true },
  };
  const perSecond = async (run: () => Promise<unknown>, records: number): Promise<number> => {
    const before = performance.now();
    await run();
    return (records * 1_000) / (performance.now() - before);
  };
  const append = async (): Promise<void> => {
    for (let index = 0; index < count; index += 1) {
      await log.append(event, { wait: false });
      if (index % 5_000 === 4_999) await log.flush();
    }
    await log.flush();
  };
  await limit({
    bar: 'B11',
    name: 'audit append with group commit',
    unit: 'records/s',
    limit: 100_000,
    kind: 'throughput',
    measure: () => perSecond(append, count),
    runs: 3,
  });
  let records = 0;
  for await (const _ of log.query()) records += 1;
  await limit({
    bar: 'B11',
    name: 'audit verify',
    unit: 'records/s',
    limit: 300_000,
    kind: 'throughput',
    measure: () => perSecond(() => log.verify(), records),
    runs: 3,
  });
  await log.close();
  await rm(folder, { recursive: true, force: true });
}

export default suite;
