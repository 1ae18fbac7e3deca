import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { codeOf } from '@mnops/core';
import type { LogEntry } from '@mnops/core/spi';
import { testCall } from '@mnops/core/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fileSink, LogAggregationManager, type LogConfig, memorySink } from './index.js';

let folder: string;
const managers: LogAggregationManager[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnops-logging-'));
});

afterEach(async () => {
  for (const manager of managers.splice(0)) await manager.stop();
  await rm(folder, { recursive: true, force: true });
});

function make(config: LogConfig = {}): LogAggregationManager {
  const manager = new LogAggregationManager({ service: 'checkout', sinks: [], ...config });
  managers.push(manager);
  return manager;
}

describe('writing', () => {
  it('writes lines to a file, those from before the start first', async () => {
    const path = join(folder, 'logs', 'app.log');
    const logs = make({ sinks: [fileSink({ path })] });
    const logger = logs.logger('payments');
    logger.info('before the start');
    await logs.start();
    logger.warn('after the start', { orderId: 7 });
    await logs.flush();
    const lines = (await readFile(path, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ body }) => body)).toEqual(['before the start', 'after the start']);
    expect(lines[1]).toMatchObject({
      severityText: 'warn',
      severityNumber: 13,
      scope: 'payments',
      resource: { 'service.name': 'checkout' },
      attributes: { orderId: 7 },
    });
  });

  it('changes levels by selector while it runs', async () => {
    const sink = memorySink();
    const logs = make({ sinks: [sink], level: { '*': 'info', 'db.*': 'warn' } });
    await logs.start();
    const pool = logs.logger('db.pool');
    pool.info('not written');
    expect(pool.isLevelEnabled('info')).toBe(false);
    logs.setLevel('db.pool', 'debug');
    pool.debug('written');
    expect(pool.level).toBe('debug');
    logs.setLevel('db.pool', undefined);
    pool.info('not written either');
    logs.setLevel('*', 'silent');
    logs.logger('other').error('silent');
    expect(sink.lines).toHaveLength(1);
    expect(() => logs.setLevel('*', 'loud' as 'info')).toThrow(/setLevel/);
  });

  it('adds the fields of child and context, those of the call winning', async () => {
    const sink = memorySink();
    const logs = make({ sinks: [sink] });
    await logs.start();
    const child = logs.logger('a').child({ tenant: 'eu', region: 1 });
    logs.runWithContext({ requestId: 'r1', tenant: 'context', region: 'context' }, () => {
      child.info('m', { region: 2 });
    });
    await logs.runWithContext({ traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' }, async () => {
      await Promise.resolve();
      child.info('traced');
    });
    const [first, second] = sink.lines.map((line) => JSON.parse(line));
    expect(first.attributes).toEqual({ requestId: 'r1', tenant: 'eu', region: 2 });
    expect(sink.lines[0]?.match(/"region"/g)).toHaveLength(1);
    expect(second).toMatchObject({ traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' });
  });
});

describe('the search for other packages', () => {
  it('finds what is kept, and says when the manager does not run', async () => {
    const logs = make();
    const query = { sort: 'newest-first', limit: 10, maxScanBytes: 1e6 } as const;
    await expect(logs.logSearch.search(query, testCall())).rejects.toMatchObject({ code: 'MNOPS_CORE_CLOSED' });
    await logs.start();
    logs.logger('payments').warn('card refused');
    await logs.flush();
    const { entries } = await logs.logSearch.search(query, testCall());
    expect(entries.map(({ message }) => message)).toEqual(['card refused']);
  });
});

describe('keeping and finding', () => {
  const entries = [
    {
      message: 'payment declined for order 17',
      time: 1_000,
      level: 'error',
      attributes: { user: { id: 'ada' }, ms: 120 },
    },
    { message: 'payment accepted', time: 2_000, attributes: { user: { id: 'bob' }, ms: 20 } },
    { message: 'cart emptied', time: 3_000, level: 'debug', traceId: '0af7651916cd43dd8448eb211c80319c' },
  ] as const;

  for (const kind of ['memory', 'open', 'sealed'] as const) {
    it(`finds by time, level, field, text and trace id (${kind})`, async () => {
      const logs = make(kind === 'memory' ? {} : { folder, store: { blockBytes: kind === 'sealed' ? 1 : 1 << 20 } });
      await logs.start();
      await logs.append(entries);
      if (kind === 'sealed') await sealed(folder);
      const messages = async (query: Parameters<typeof logs.search>[0]): Promise<string[]> =>
        (await logs.search(query)).entries.map(({ message }) => message);
      expect(await messages({})).toEqual(['cart emptied', 'payment accepted', 'payment declined for order 17']);
      expect(await messages({ sort: 'oldest-first', limit: 1 })).toEqual(['payment declined for order 17']);
      expect(await messages({ from: 1_500, to: 3_000 })).toEqual(['payment accepted']);
      expect(await messages({ level: 'info' })).toEqual(['payment accepted', 'payment declined for order 17']);
      expect(await messages({ levels: ['debug'] })).toEqual(['cart emptied']);
      expect(await messages({ where: { 'user.id': 'ada' } })).toEqual(['payment declined for order 17']);
      expect(await messages({ where: { ms: { gte: 20, lt: 100 } } })).toEqual(['payment accepted']);
      expect(await messages({ where: { user: { exists: false } } })).toEqual(['cart emptied']);
      expect(await messages({ where: { 'user.id': { not: 'ada', exists: true } } })).toEqual(['payment accepted']);
      expect(await messages({ where: { message: { contains: 'CLINED' } } })).toEqual(['payment declined for order 17']);
      expect(await messages({ where: { service: 'checkout' }, text: 'PAYMENT' })).toHaveLength(2);
      expect(await messages({ text: '"declined for"' })).toEqual(['payment declined for order 17']);
      expect(await messages({ text: '"for declined"' })).toEqual([]);
      expect(await messages({ text: 'ada' })).toEqual(['payment declined for order 17']);
      expect(await messages({ text: 'clined' })).toEqual([]);
      expect(await messages({ traceId: '0AF7651916CD43DD8448EB211C80319C' })).toEqual(['cart emptied']);
      expect(await messages({ where: { nothing: 'x' } })).toEqual([]);
    });
  }

  it('pages without loss or repetition, also over entries of the same moment', async () => {
    const logs = make({ folder, store: { blockBytes: 4_000 } });
    await logs.start();
    for (let batch = 0; batch < 10; batch += 1) {
      await logs.append(
        Array.from({ length: 23 }, (_, index) => ({ message: `${batch}-${index}`, time: 5_000 + (index % 3) })),
      );
    }
    for (const sort of ['newest-first', 'oldest-first'] as const) {
      const seen: LogEntry[] = [];
      let after: string | undefined;
      do {
        const page = await logs.search({ limit: 17, sort, after });
        seen.push(...page.entries);
        after = page.next;
      } while (after !== undefined);
      expect(new Set(seen.map(({ id }) => id)).size).toBe(230);
      expect(seen).toHaveLength(230);
    }
  });

  it('keeps what loggers wrote, over a restart, with stable ids', async () => {
    const first = make({ folder });
    await first.start();
    first.logger('a').info('one', { n: 1n, error: new TypeError('bad', { cause: new Error('root') }) });
    await first.flush();
    const before = await first.search({});
    await first.stop();
    const second = make({ folder });
    await second.start();
    second.logger('a').info('two');
    const after = await second.search({ sort: 'oldest-first' });
    expect(after.entries.map(({ message }) => message)).toEqual(['one', 'two']);
    expect(after.entries[0]).toEqual(before.entries[0]);
    expect(after.entries[0]?.attributes).toMatchObject({
      n: '1',
      error: { type: 'TypeError', cause: { message: 'root' } },
    });
    expect(new Set(after.entries.map(({ id }) => id)).size).toBe(2);
  });

  it('lets several writers share a folder, and follows them all', async () => {
    const one = make({ folder });
    const two = make({ folder });
    await one.start();
    await two.start();
    const abort = new AbortController();
    const seen: string[] = [];
    const following = (async () => {
      for await (const entry of one.tail({ text: 'ping' }, { signal: abort.signal })) {
        seen.push(entry.message);
        if (seen.length === 4) abort.abort();
      }
    })();
    await one.append([{ message: 'before: not followed' }]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    one.logger('a').info('ping 1');
    await two.append([{ message: 'ping 2' }, { message: 'pong' }]);
    two.logger('b').info('ping 3');
    await one.append([{ message: 'ping 4' }]);
    await following;
    expect(seen.toSorted()).toEqual(['ping 1', 'ping 2', 'ping 3', 'ping 4']);
    expect((await one.search({})).entries).toHaveLength(6);
    expect((await two.search({})).entries).toHaveLength(6);
  });

  it('says what is partial when the scan limit is reached', async () => {
    const logs = make({ folder });
    await logs.start();
    for (let index = 0; index < 20; index += 1) await logs.append([{ message: `m ${index}`, time: index }]);
    expect((await logs.search({}, { maxScanBytes: 500 })).partial).toEqual(['scan-limit']);
    expect((await logs.search({})).partial).toEqual([]);
  });
});

describe('bad input', () => {
  it('names the field and the remedy', async () => {
    const wrong = (run: () => unknown): unknown => {
      try {
        run();
      } catch (error) {
        return error;
      }
      return undefined;
    };
    const error = wrong(() => new LogAggregationManager({ levle: 'info', limits: { depth: 0 } } as LogConfig));
    expect(codeOf(error)).toBe('MNOPS_CORE_CONFIG_INVALID');
    const { issues } = (error as { details: { issues: { field: string; remedy: string }[] } }).details;
    expect(issues.map(({ field }) => field).toSorted()).toEqual(['levle', 'limits.depth']);
    const logs = make();
    await expect(logs.search({})).rejects.toMatchObject({ code: 'MNOPS_CORE_CLOSED' });
    await logs.start();
    await expect(logs.search({ from: 'yesterday' })).rejects.toThrow(/from/);
    await expect(logs.search({ limit: 0 })).rejects.toThrow(/limit/);
    await expect(logs.search({ after: 'x' })).rejects.toThrow(/after/);
    await expect(logs.append([{ message: 'a' }, { message: 7 as never, level: 'loud' as never }])).rejects.toThrow(
      /entries\[1\]/,
    );
    const path = '/proc/nothing/here.log';
    await expect(make({ sinks: [fileSink({ path })] }).start()).rejects.toMatchObject({
      code: 'MNOPS_CORE_STORAGE_FAILED',
      details: { path },
    });
    await expect(make({ folder: '/dev/null/nothing' }).start()).rejects.toMatchObject({
      code: 'MNOPS_CORE_STORAGE_FAILED',
    });
    expect(wrong(() => new LogAggregationManager({ redact: { paths: ['a..b'] } }))).toMatchObject({
      code: 'MNOPS_CORE_CONFIG_INVALID',
    });
  });
});

it('refuses unknown options of its calls by name', async () => {
  const logs = make({ store: {} });
  await logs.start();
  const odd = { timeoutMS: 5 } as never;
  const named = { code: 'MNOPS_CORE_CONFIG_INVALID', message: expect.stringContaining('timeoutMS') };
  await expect(logs.search({}, odd)).rejects.toMatchObject(named);
  await expect(logs.search({ timeoutMS: 5 } as never)).rejects.toMatchObject(named);
  await expect(logs.append([{ message: 'a' }], odd)).rejects.toMatchObject(named);
  await expect(logs.tail({}, odd).next()).rejects.toMatchObject(named);
  await expect(logs.health(odd)).rejects.toMatchObject(named);
  expect(() => logs.stats(odd)).toThrow(expect.objectContaining(named));
  expect(() => logs.logger('a', odd)).toThrow(expect.objectContaining(named));
  await expect(logs.search({}, 'soon' as never)).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFIG_INVALID' });
  const rest = { timeoutMs: 5_000, signal: new AbortController().signal };
  await logs.append([{ message: 'kept' }], rest);
  expect((await logs.search({}, { ...rest, maxScanBytes: Number.POSITIVE_INFINITY })).entries).toHaveLength(1);
});

async function sealed(store: string): Promise<void> {
  await vi.waitFor(async () => {
    const names = await readdir(join(store, 'writers'), { recursive: true });
    expect(names.filter((name) => name.endsWith('.block'))).toHaveLength(1);
    expect(names.filter((name) => name.includes('open-'))).toHaveLength(1);
  });
}
