import { coreError } from '@mnops/core';
import type { ExportAnswer, Span, SpanBatch, TraceExporter } from '@mnops/core/spi';
import { type FakeClock, fakeClock } from '@mnops/core/testing';
import type { ResolvedSpool } from '../delivery/delivery-config.js';
import { Dispatcher, type DispatcherOptions } from '../delivery/dispatcher.js';
import { openSpool } from '../delivery/open-spool.js';
import { randomOf } from './random.js';
import { spanOf } from './spans.js';
import { testExporter } from './test-exporter.js';

/** A back end that is away, answers, or refuses, as told. */
export class BackEnd {
  readonly taken: string[] = [];
  requests = 0;
  answer: (ids: readonly string[]) => ExportAnswer | Error = () => coreError('MNOPS_CORE_UNAVAILABLE', 'away');

  takeAll(): void {
    this.answer = (ids) => ({ accepted: ids.length, rejected: 0 });
  }

  exporter(id = 'one'): TraceExporter {
    const take = (batch: SpanBatch): ExportAnswer => {
      this.requests += 1;
      const ids = batch.groups.flatMap(({ spans }) => spans.map(({ spanId }) => spanId));
      const answer = this.answer(ids);
      if (answer instanceof Error) throw answer;
      if (answer.accepted === ids.length) this.taken.push(...ids);
      return answer;
    };
    return testExporter(take, { id, maxRequestBytes: 1e6, maxSpansPerRequest: 100 });
  }
}

/** Options of a dispatcher that sends batches of ten after a second, and tells nobody. */
export function dispatcherOptions(exporter: TraceExporter, clock: FakeClock): DispatcherOptions {
  return {
    exporter,
    maxSpans: 1_000,
    maxBytes: 16_777_216,
    batchSpans: 10,
    delayMs: 1_000,
    exportTimeoutMs: 5_000,
    clock,
    secrets: undefined,
    random: randomOf(1),
    quietly: (run) => run(),
    onDropped: () => undefined,
    onDown: () => undefined,
    onUp: () => undefined,
  };
}

/** A dispatcher with a spool, its clock, and what it told. */
export interface SpooledDispatcher {
  readonly dispatcher: Dispatcher;
  readonly clock: FakeClock;
  readonly log: string[];
  /** Files of spans that were put aside. */
  readonly asideFiles: string[];
  /** Resolves when the start is over. */
  readonly opened: Promise<void>;
}

/** Makes a dispatcher whose exporter `one` has its spool in a folder; the caller closes it. */
export function spooledDispatcher(
  folder: string,
  backEnd: BackEnd,
  more: Partial<DispatcherOptions> = {},
  spool: Partial<ResolvedSpool> = {},
  clock: FakeClock = fakeClock(),
): SpooledDispatcher {
  const log: string[] = [];
  const asideFiles: string[] = [];
  const dispatcher = new Dispatcher({
    ...dispatcherOptions(backEnd.exporter(), clock),
    onDropped: (reason, count, _, file) => {
      log.push(`${reason} ${count}`);
      if (file !== undefined) asideFiles.push(file);
    },
    ...more,
  });
  const options = { folder, maxBytes: 1 << 28, maxAgeMs: 86_400_000, intervalMs: 1_000, fsync: false, ...spool };
  const opened = openSpool(dispatcher, 'one', options, clock, {
    onDamaged: ({ records }) => log.push(`damaged ${records}`),
    onFailed: ({ code }) => log.push(`failed ${code}`),
    onRecovered: () => log.push('recovered'),
  });
  return { dispatcher, clock, log, asideFiles, opened };
}

/** Spans with ids that count from a number on. */
export function numberedSpans(count: number, from = 0): Span[] {
  return Array.from({ length: count }, (_, i) => spanOf({ id: (from + i + 1).toString(16), attributes: { n: i } }));
}

/** Ids of spans. */
export const idsOf = (list: readonly Span[]): string[] => list.map(({ spanId }) => spanId);
