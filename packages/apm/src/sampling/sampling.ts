import type { Clock, ServiceIdentity, SpanAttributes } from '@mnops/core/spi';
import type { Decisions } from '../tracing/deciding-tracer.js';
import type { ReadableSpanLike } from '../tracing/recorded-span.js';
import { countOfEnded } from './adjusted-count.js';
import { BackEndRates } from './back-end-rates.js';
import { headDecider } from './head-sampler.js';
import { keptSpan } from './kept-span.js';
import type { RateLimiter } from './rate-limiter.js';
import type { ResolvedSampling } from './sampling-config.js';
import type { SamplingDropReason, SamplingStats } from './sampling-stats.js';
import { TailSampler } from './tail-sampler.js';

/** What sampling is made from. */
export interface SamplingSurroundings {
  readonly sampling: ResolvedSampling;
  readonly service: ServiceIdentity;
  readonly clock: Clock;
  readonly random: () => number;
}

/** Takes a span that is kept. Times in epoch milliseconds. */
export type KeepSpan = (span: ReadableSpanLike, resource: SpanAttributes, endMs: number, durationMs: number) => void;

const noneKept = { head: 0, rule: 0, error: 0, slow: 0, rare: 0, caller: 0, probability: 0 } as const;

/** Decides which spans are recorded, and which of the recorded ones are kept. */
export class Sampling {
  readonly #keep: KeepSpan;
  readonly #clock: Clock;
  readonly #rates: BackEndRates;
  readonly #limiters: RateLimiter[] = [];
  readonly #tail: TailSampler | undefined;
  readonly #local: boolean;
  /** How the tracer decides where traces begin. */
  readonly decisions: Decisions;
  #unsampled = 0;
  #kept = 0;
  readonly #dropped: Record<SamplingDropReason, number> = {
    'not-sampled': 0,
    rule: 0,
    probability: 0,
    rate: 0,
    'trace-too-large': 0,
  };

  constructor({ sampling, service, clock, random }: SamplingSurroundings, keep: KeepSpan) {
    const { head, tail } = sampling;
    this.#keep = keep;
    this.#clock = clock;
    this.#rates = new BackEndRates(service.name, service.environment);
    this.#local = tail?.mode === 'local';
    const monotonicMs = (): number => clock.monotonic();
    this.decisions = {
      decide: headDecider(head, {
        service: service.name,
        rates: this.#rates,
        random,
        monotonicMs,
        limiters: this.#limiters,
      }),
      custom: head.kind === 'custom' ? head.sampler : undefined,
      tail: tail?.mode,
      onUnsampled: () => {
        this.#unsampled += 1;
      },
    };
    if (tail === undefined) return;
    this.#tail = new TailSampler(tail, monotonicMs, {
      keep: ({ span, resource, endMs, durationMs }, { reason, count }) => {
        this.#kept += 1;
        keep(keptSpan(span, reason, count), resource, endMs, durationMs);
      },
      drop: (reason) => {
        this.#dropped[reason] += 1;
      },
    });
  }

  /** Whether spans wait for a decision, so that `sweep` must be called now and then. */
  get waits(): boolean {
    return this.#tail !== undefined;
  }

  /** A recorded span began. */
  begun(span: Pick<ReadableSpanLike, 'spanContext' | 'parentSpanContext'>): void {
    if (this.#tail === undefined) return;
    const { parentSpanContext: parent } = span;
    if (parent !== undefined && parent.isRemote !== true) return;
    this.#tail.begun(span.spanContext().traceId, this.#clock.monotonic());
  }

  /** How many spans a finished one stands for in figures of everything that is recorded. */
  countOf(span: ReadableSpanLike): number {
    const context = span.spanContext();
    if (context.traceState === undefined) return 1;
    // With local decisions the requests that a caller did not choose are recorded too.
    return this.#local && (context.traceFlags & 1) === 1 ? 1 : countOfEnded(span);
  }

  /** Takes a finished span; it is kept now, later or not at all. `nowMs` is monotonic. */
  take(span: ReadableSpanLike, resource: SpanAttributes, endMs: number, durationMs: number, nowMs: number): void {
    if (this.#tail !== undefined) {
      this.#tail.add({ span, resource, endMs, durationMs }, nowMs);
    } else if ((span.spanContext().traceFlags & 1) === 1) {
      this.#kept += 1;
      this.#keep(span, resource, endMs, durationMs);
    } else this.#dropped['not-sampled'] += 1;
  }

  /** Takes the rates that a back end asks for. Never throws. */
  heed(rates: ReadonlyMap<string, number>): void {
    try {
      this.#rates.update(rates);
    } catch {
      // An exporter that answers something else has no say.
    }
  }

  /** Decides what has waited for too long. */
  sweep(): void {
    this.#tail?.sweep(this.#clock.monotonic());
  }

  /** Decides everything that waits, as it stands. */
  finish(): void {
    this.#tail?.finish(this.#clock.monotonic());
  }

  get stats(): SamplingStats {
    const tail = this.#tail;
    const rates = this.#limiters.map(({ effectiveRate }) => effectiveRate);
    return {
      unsampledSpans: this.#unsampled,
      headRate: Math.min(1, ...rates),
      keptSpans: this.#kept,
      droppedSpans: { ...this.#dropped },
      waitingSpans: tail?.waitingSpans ?? 0,
      waitingBytes: tail?.waitingBytes ?? 0,
      keptTraces: { ...(tail?.keptTraces ?? noneKept) },
      droppedTraces: tail?.droppedTraces ?? 0,
      decidedEarly: tail?.decidedEarly ?? 0,
      lateSpans: tail?.lateSpans ?? 0,
    };
  }
}
