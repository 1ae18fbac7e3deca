import { createRequire } from 'node:module';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { BaseProvider } from '@aws-lambda-powertools/parameters/base';
import { memory, type SecretProvider, SecretsManager } from '@mnops/secrets';
import { type BenchSuite, defineBench } from '@mnops/tooling/bench';
import Keyv from 'keyv';

// Reads come at a steady pace, as from users; each path's answer ends after a second, so that 100 paths have 1,000 ends
// in ten seconds. Powertools counts in whole seconds, so nobody can be given less.
const paths = Array.from({ length: 100 }, (_, index) => `app/secret-${index}`);
const ttlMs = 1_000;
const ends = 10;
const atOnce = 10;
const upstreamMs = 50;

// Its declarations need a Redis client that is not installed here.
const { createCache } = createRequire(import.meta.url)('async-cache-dedupe') as {
  createCache(options: { readonly ttl: number; readonly stale: number }): {
    define(name: 'read', run: () => Promise<string>): { readonly read: (path: string) => Promise<string> };
  };
};

type Read = (path: string) => Promise<unknown>;

async function upstream(): Promise<string> {
  await sleep(upstreamMs);
  return 'value';
}

/** 99th percentile of what a caller waits, microseconds, over a time in which each path ends so many times. */
async function p99(read: Read): Promise<number> {
  await Promise.all(paths.map(read));
  const waits: number[] = [];
  const timed = async (path: string): Promise<void> => {
    const from = performance.now();
    await read(path);
    waits.push(performance.now() - from);
  };
  const until = performance.now() + ends * (ttlMs + upstreamMs);
  const reads: Promise<void>[] = [];
  for (let turn = 0; performance.now() < until; turn = (turn + atOnce) % paths.length) {
    for (const path of paths.slice(turn, turn + atOnce)) reads.push(timed(path));
    await sleep(1);
  }
  await Promise.all(reads);
  waits.sort((a, b) => a - b);
  return (waits[Math.floor(waits.length * 0.99)] ?? Number.NaN) * 1_000;
}

function slowProvider(): SecretProvider {
  return {
    ...memory(),
    get: async () => ({ value: Buffer.from(await upstream()), version: '1', stages: ['current'] }),
  };
}

async function ours(cacheTtlMs: number): Promise<number> {
  const secrets = new SecretsManager({ provider: slowProvider(), audit: false, cache: { ttlMs: cacheTtlMs } });
  const figure = await p99((path) => secrets.get(path));
  await secrets.stop();
  return figure;
}

class SlowProvider extends BaseProvider {
  protected async _get(): Promise<string> {
    return await upstream();
  }

  protected async _getMultiple(): Promise<undefined> {
    return undefined;
  }
}

function powertools(): Promise<number> {
  const provider = new SlowProvider({});
  return p99((path) => provider.get(path, { maxAge: ttlMs / 1_000 }));
}

function keyv(): Promise<number> {
  const store = new Keyv();
  return p99(async (path) => {
    const kept: unknown = await store.get(path);
    if (kept !== undefined) return kept;
    const value = await upstream();
    await store.set(path, value, ttlMs);
    return value;
  });
}

function asyncCacheDedupe(): Promise<number> {
  const cache = createCache({ ttl: ttlMs / 1_000, stale: 60 }).define('read', upstream);
  return p99((path) => cache.read(path));
}

const suite: BenchSuite = defineBench({
  package: 'secrets',
  suite: 'freshness',
  async run({ compare, limit }) {
    const shares: number[] = [];
    const acrossEnds = async (): Promise<number> => {
      const warm = await ours(3_600_000);
      const across = await ours(ttlMs);
      shares.push(across / warm);
      return across;
    };
    const name = `p99 of get over ${paths.length * ends} ends of a value's time, upstream ${upstreamMs} ms`;
    const bar = 'B3';
    const common = { bar, name, unit: 'us', kind: 'cost' as const, ours: acrossEnds, runs: 3 };
    await compare({ ...common, goal: 10, peer: '@aws-lambda-powertools/parameters 2.35', theirs: powertools });
    await compare({ ...common, goal: 10, peer: 'keyv 5.6', theirs: keyv });
    await compare({ ...common, goal: 0.5, peer: 'async-cache-dedupe 3.4, stale', theirs: asyncCacheDedupe });
    shares.sort((a, b) => a - b);
    await limit({
      bar,
      name: 'that p99 beside the p99 of warm reads (median of the runs)',
      unit: 'times',
      limit: 2,
      measure: () => shares[shares.length >> 1] ?? Number.NaN,
      runs: 1,
    });
  },
});

export default suite;
