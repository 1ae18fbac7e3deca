import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { coreError } from '@mnops/core';
import type { ExportAnswer, Span, SpanBatch, TraceExporter } from '@mnops/core/spi';
import { eventually, type FakeClock, fakeClock, testCall } from '@mnops/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { apmError } from '../codes.js';
import { randomOf } from '../testing/random.js';
import { spanOf } from '../testing/spans.js';
import type { ResolvedSpool } from './delivery-config.js';
import { Dispatcher, type DispatcherOptions } from './dispatcher.js';
import { openSpool } from './open-spool.js';

let folder: string;
const open: Dispatcher[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnops-spool-'));
});
afterEach(async () => {
  for (const dispatcher of open.splice(0)) await dispatcher.close(new Error('end'));
  await rm(folder, { recursive: true, force: true });
});

/** A back end that is away, answers, or refuses, as told. */
class BackEnd {
  readonly taken: string[] = [];
  requests = 0;
  answer: (ids: readonly string[]) => ExportAnswer | Error = () => coreError('MNOPS_CORE_UNAVAILABLE', 'away');

  takeAll(): void {
    this.answer = (ids) => ({ accepted: ids.length, rejected: 0 });
  }

  exporter(id = 'one'): TraceExporter {
    return {
      specVersion: 1,
      kind: 'trace-exporter',
      id,
      capabilities: {
        maxRequestBytes: 1e6,
        maxSpansPerRequest: 100,
        partialSuccess: true,
        safeToRepeat: true,
        delivers: 'local',
      },
      export: async (batch: SpanBatch) => {
        this.requests += 1;
        const ids = batch.groups.flatMap(({ spans }) => spans.map(({ spanId }) => spanId));
        const answer = this.answer(ids);
        if (answer instanceof Error) throw answer;
        if (answer.accepted === ids.length) this.taken.push(...ids);
        return answer;
      },
    };
  }
}

interface Made {
  readonly dispatcher: Dispatcher;
  readonly clock: FakeClock;
  readonly log: string[];
}

async function make(
  backEnd: BackEnd,
  more: Partial<DispatcherOptions> = {},
  spool: Partial<ResolvedSpool> = {},
  clock: FakeClock = fakeClock(),
): Promise<Made> {
  const log: string[] = [];
  const dispatcher = new Dispatcher({
    exporter: backEnd.exporter(),
    maxSpans: 1_000,
    maxBytes: 16_777_216,
    batchSpans: 10,
    delayMs: 1_000,
    exportTimeoutMs: 5_000,
    clock,
    secrets: undefined,
    random: randomOf(1),
    quietly: (run) => run(),
    onDropped: (reason, count) => log.push(`${reason} ${count}`),
    onDown: () => undefined,
    onUp: () => undefined,
    ...more,
  });
  open.push(dispatcher);
  const options = { folder, maxBytes: 1 << 28, maxAgeMs: 86_400_000, intervalMs: 1_000, fsync: false, ...spool };
  await openSpool(dispatcher, 'one', options, clock, {
    onDamaged: ({ records }) => log.push(`damaged ${records}`),
    onFailed: ({ code }) => log.push(`failed ${code}`),
    onRecovered: () => log.push('recovered'),
  });
  return { dispatcher, clock, log };
}

function spans(count: number, from = 0): Span[] {
  return Array.from({ length: count }, (_, i) => spanOf({ id: (from + i + 1).toString(16), attributes: { n: i } }));
}

function add(dispatcher: Dispatcher, list: readonly Span[]): void {
  for (const span of list) dispatcher.add(span);
}

const ids = (list: readonly Span[]): string[] => list.map(({ spanId }) => spanId);

function assertExact({ stats }: Dispatcher): void {
  const dropped = Object.values(stats.dropped).reduce((sum, count) => sum + count, 0);
  expect(stats.delivered + stats.held + dropped).toBe(stats.accepted);
}

async function segments(): Promise<string[]> {
  return (await readdir(join(folder, 'one'))).filter((name) => name.endsWith('.spool'));
}

describe('a dispatcher with a spool', () => {
  it('leaves undelivered spans to the next process', async () => {
    const backEnd = new BackEnd();
    const first = await make(backEnd);
    add(first.dispatcher, spans(35));
    await first.dispatcher.close(new Error('stopped'));
    expect(first.dispatcher.stats).toMatchObject({ held: 35, delivered: 0 });
    expect(first.log).toEqual([]);
    assertExact(first.dispatcher);

    backEnd.takeAll();
    const second = await make(backEnd);
    expect(second.dispatcher.stats).toMatchObject({ replayed: 35, accepted: 35 });
    await second.dispatcher.flush(testCall());
    expect(second.dispatcher.stats).toMatchObject({ delivered: 35, held: 0 });
    expect(backEnd.taken.sort()).toEqual(ids(spans(35)).sort());
    await second.dispatcher.close(new Error('stopped'));
    expect(await segments()).toEqual([]);
    expect((await readdir(join(folder, 'one'))).filter((name) => name !== 'quarantine')).toEqual([]);
  });
});
