import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonValue, LogBatch, LogFrame, LogSource } from '@mnops/core/spi';
import { eventually } from '@mnops/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LogAggregationManager, memorySink } from '../index.js';

let folder: string;
const managers: LogAggregationManager[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnops-collect-'));
});

afterEach(async () => {
  for (const manager of managers.splice(0)) await manager.stop();
  await rm(folder, { recursive: true, force: true });
});

async function started(config: object = {}): Promise<LogAggregationManager> {
  const logs = new LogAggregationManager({ service: 'operator', sinks: [], folder, ...config });
  managers.push(logs);
  await logs.start();
  return logs;
}

/** An exact source over a list that grows: the checkpoint is the number of frames given. */
function listSource(frames: (string | LogFrame)[], options: { perBatch?: number; failAt?: number } = {}): LogSource {
  let failed = false;
  return {
    specVersion: 1,
    kind: 'log-source',
    id: 'list',
    capabilities: { scope: 'service', resume: 'exact' },
    async *read({ checkpoint }: { checkpoint?: JsonValue | undefined }, { signal }): AsyncGenerator<LogBatch> {
      let next = typeof checkpoint === 'number' ? checkpoint : 0;
      while (!signal.aborted) {
        if (options.failAt !== undefined && next >= options.failAt && !failed) {
          failed = true;
          throw new Error('connection lost');
        }
        const part = frames.slice(next, next + (options.perBatch ?? 2));
        if (part.length === 0) {
          await new Promise((resolve) => setTimeout(resolve, 5));
          continue;
        }
        next += part.length;
        yield {
          stream: 'catalog/catalog-1/stdout',
          identity: { name: 'catalog', version: '2.0.0', instance: 'catalog-1' },
          frames: part.map((each) => (typeof each === 'string' ? { bytes: each } : each)),
          checkpoint: next,
        };
      }
    },
  };
}

async function messages(logs: LogAggregationManager): Promise<string[]> {
  const { entries } = await logs.search({ sort: 'oldest-first', limit: 10_000 });
  return entries.toSorted((a, b) => sequence(a.id) - sequence(b.id)).map(({ message }) => message);
}

function sequence(id: string): number {
  return Number.parseInt(id.slice(id.lastIndexOf('.') + 1), 36);
}

describe('collect', () => {
  it('reads its own lines back without loss', async () => {
    const sink = memorySink();
    const app = new LogAggregationManager({
      service: { name: 'catalog', version: '2.0.0' },
      sinks: [sink],
      level: 'silly',
    });
    await app.start();
    const logger = app.logger('http').child({ tenant: 'eu' });
    app.runWithContext({ traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' }, () => {
      logger.silly('one "quoted"\nline', { nested: { list: [1, null, true, 'x'] }, big: 1.2345678901234567e19 });
    });
    logger.error(new Error('two'));
    const own = (await app.search({ sort: 'oldest-first' })).entries;
    await app.stop();
    const logs = await started();
    logs.collect(listSource([...sink.lines]));
    await eventually(async () => expect(await messages(logs)).toHaveLength(2));
    const { entries } = await logs.search({ sort: 'oldest-first' });
    const bare = (list: typeof entries) =>
      list.map(
        ({
          id: _,
          stream: __,
          observedMs: ___,
          format: ____,
          resource: { 'service.instance.id': _____, ...resource },
          ...rest
        }) => ({ ...rest, resource }),
      );
    expect(bare(entries)).toEqual(bare(own));
    expect(entries[0]).toMatchObject({
      stream: 'catalog/catalog-1/stdout',
      traceId: '0af7651916cd43dd8448eb211c80319c',
    });
  });

  it('goes on after a restart without loss or repetition, also in the middle of a line', async () => {
    const frames: (string | LogFrame)[] = Array.from({ length: 7 }, (_, index) => `line ${index}`);
    frames.push({ bytes: Buffer.from('begun \u00e4'.slice(0, 6)), partial: true });
    const first = await started();
    const collection = first.collect(listSource(frames, { perBatch: 4 }));
    await eventually(async () => expect(collection.stats().entries).toBe(7));
    await first.stop();
    expect(collection.status).toBe('stopped');
    frames.push({ bytes: ' and ', partial: true }, 'ended', 'after');
    const second = await started();
    second.collect(listSource(frames, { perBatch: 4 }));
    await eventually(async () => expect(await messages(second)).toContain('after'));
    expect(await messages(second)).toEqual([
      ...Array.from({ length: 7 }, (_, i) => `line ${i}`),
      'begun  and ended',
      'after',
    ]);
  });

  it('keeps its position through sealing, and comes back after a failure', async () => {
    const logs = await started({ store: { blockBytes: 2_000 } });
    const failures: string[] = [];
    logs.on('source:failed', ({ error }) => failures.push((error as unknown as { code: string }).code));
    const frames = Array.from({ length: 100 }, (_, index) => `line ${index}`);
    const collection = logs.collect(listSource(frames, { perBatch: 3, failAt: 42 }));
    await eventually(async () => expect(collection.stats().entries).toBe(100));
    expect(failures).toEqual(['MNOPS_LOGGING_SOURCE_FAILED']);
    expect(await messages(logs)).toEqual(frames);
    expect(logs.status).toBe('ready');
    await logs.stop();
    const again = await started();
    again.collect(listSource([...frames, 'last']));
    await eventually(async () => expect(await messages(again)).toContain('last'));
    expect(await messages(again)).toHaveLength(101);
  });

  it('reads JSON of other loggers and text, and keeps what does not parse', async () => {
    const logs = await started();
    const frames = [
      '{"level":50,"time":1700000000123,"pid":1,"msg":"pino","trace_id":"0af7651916cd43dd8448eb211c80319c"}',
      '{"level":"warn","message":"winston","timestamp":"2024-01-02T03:04:05.678Z","orderId":12345678901234567890}',
      '2024-01-02T03:04:05.678Z [ERROR] text with a level',
      '{"broken": ',
      '{"__proto__":{"polluted":true},"msg":"proto"}',
      { bytes: 'to stderr', channel: 'stderr', timeMs: 1_700_000_000_000 } as const,
      '',
    ];
    const filtered = logs.collect(listSource(frames, { perBatch: 10 }), {
      filter: ({ message }) => message !== 'winston' && true,
    });
    await eventually(async () => expect(filtered.stats().batches).toBe(1));
    const { entries } = await logs.search({ limit: 100 });
    const of = (text: string) => entries.find(({ message }) => message.includes(text));
    expect(of('pino')).toMatchObject({
      level: 'error',
      timeMs: 1_700_000_000_123,
      traceId: '0af7651916cd43dd8448eb211c80319c',
      attributes: { pid: 1 },
    });
    expect(of('winston')).toBeUndefined();
    expect(of('text with')).toMatchObject({
      level: 'error',
      timeMs: Date.parse('2024-01-02T03:04:05.678Z'),
      format: 'text',
    });
    expect(of('broken')).toMatchObject({ message: '{"broken": ', flags: ['lenient'] });
    expect(Object.keys(of('proto')?.attributes ?? {})).toEqual(['__proto__']);
    expect(of('stderr')).toMatchObject({
      timeMs: 1_700_000_000_000,
      attributes: { 'log.iostream': 'stderr' },
      resource: { 'service.version': '2.0.0' },
    });
    expect(entries).toHaveLength(5);
    expect(() => logs.collect(listSource([]))).toThrow(/collected already/);
    expect(() => logs.collect(listSource([]), { formt: 'json' } as object)).toThrow(/formt/);
  });
});
