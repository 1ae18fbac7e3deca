import type { SpanAttributes, SpanKindName } from '@mnops/core/spi';
import { operationOf } from '../analysis/span-facts.js';
import { spanKinds } from '../span-kinds.js';
import { sizeOf } from '../store/span-size.js';
import { type ReadableSpanLike, RecordedSpan } from '../tracing/recorded-span.js';
import { countOfEnded, memberOfEnded } from './adjusted-count.js';
import { passes, randomnessOf, readOtelMember, thresholdOf } from './consistent-probability.js';
import { DecisionCache, type TailDecision } from './decision-cache.js';
import { OperationHistory } from './operation-history.js';
import { RateLimiter } from './rate-limiter.js';
import type { ResolvedTail, TailRule } from './sampling-config.js';
import type { KeepReason, SamplingDropReason } from './sampling-stats.js';
import { compileMatch } from './span-match.js';

/** Where the spans of decided traces go. */
export interface TailOutlets {
  readonly keep: (ended: EndedSpan, decision: Extract<TailDecision, { kept: true }>) => void;
  readonly drop: (reason: SamplingDropReason) => void;
}

/** One finished span with what is known of it; times in epoch milliseconds. */
export interface EndedSpan {
  readonly span: ReadableSpanLike;
  readonly resource: SpanAttributes;
  readonly endMs: number;
  readonly durationMs: number;
}

/** A trace whose local root has not ended. */
interface Waiting {
  readonly traceId: string;
  readonly sinceMs: number;
  openRoots: number;
  readonly ended: EndedSpan[];
  bytes: number;
  failed: boolean;
  forced: boolean;
  root: EndedSpan | undefined;
}

/** A trace that waits, beside its spans. */
const waitingBytes = 300;
/** Milliseconds after which a trace is decided whether its local root has ended or not. */
const undecidedMs = 600_000;
/** Spans from which on a trace that will be kept is handed on before its local root has ended. */
const handOnSpans = 1_000;
const errorStatus = 2;
const serviceKey = 'service.name';
const dropped = {
  rule: { kept: false, reason: 'rule' },
  probability: { kept: false, reason: 'probability' },
  rate: { kept: false, reason: 'rate' },
} as const satisfies Record<string, TailDecision>;

/** Holds the finished spans of each trace until its local root has ended, then keeps or drops them together. */
export class TailSampler {
  readonly #settings: ResolvedTail;
  readonly #outlets: TailOutlets;
  readonly #waiting = new Map<string, Waiting>();
  readonly #cache: DecisionCache;
  readonly #history: OperationHistory;
  readonly #limiter: RateLimiter;
  readonly #threshold: string | undefined;
  readonly #fixedMs: number | undefined;
  readonly #dropRules: readonly ((ended: EndedSpan) => boolean)[];
  readonly #keepRules: readonly ((ended: EndedSpan) => boolean)[];
  readonly keptTraces: Record<KeepReason, number> = {
    head: 0,
    rule: 0,
    error: 0,
    slow: 0,
    rare: 0,
    caller: 0,
    probability: 0,
  };
  droppedTraces = 0;
  decidedEarly = 0;
  lateSpans = 0;
  waitingSpans = 0;
  waitingBytes = 0;

  constructor(settings: ResolvedTail, monotonicMs: () => number, outlets: TailOutlets) {
    this.#settings = settings;
    this.#outlets = outlets;
    const { slowerThan, probability, rules } = settings;
    this.#cache = new DecisionCache(settings.decisionCacheSize);
    this.#limiter = new RateLimiter(settings.maxTracesPerSecond, monotonicMs);
    this.#threshold = probability > 0 ? thresholdOf(probability) : undefined;
    this.#fixedMs = typeof slowerThan === 'object' ? slowerThan.durationMs : undefined;
    const quantiles = { p95: 0.95, p99: 0.99 } as const;
    const quantile = typeof slowerThan === 'object' ? undefined : quantiles[slowerThan];
    this.#history = new OperationHistory(quantile, settings.rareBelowPerHour);
    this.#dropRules = rules.filter(({ action }) => action === 'drop').map(compileTailRule);
    this.#keepRules = rules.filter(({ action }) => action === 'keep').map(compileTailRule);
  }

  /** A span began that has no parent in this process. */
  begun(traceId: string, nowMs: number): void {
    this.#entry(traceId, nowMs).openRoots += 1;
    this.#makeRoom(nowMs);
  }

  /** Takes a finished span. `nowMs` is monotonic. */
  add(ended: EndedSpan, nowMs: number): void {
    const { span } = ended;
    const { traceId } = span.spanContext();
    const { parentSpanContext: parent } = span;
    const isRoot = parent === undefined || parent.isRemote === true;
    let trace = this.#waiting.get(traceId);
    if (trace === undefined) {
      const decided = this.#cache.get(traceId);
      if (decided !== undefined && !isRoot) {
        this.lateSpans += 1;
        this.#settle(ended, decided);
        return;
      }
      trace = this.#entry(traceId, nowMs);
    }
    this.#hold(trace, ended, isRoot);
    if (isRoot) {
      trace.openRoots -= 1;
      // Of several, the one that ends last has waited for the others.
      trace.root = ended;
      if (trace.openRoots <= 0) this.#decide(trace, nowMs);
    } else if (trace.ended.length >= handOnSpans) this.#handOn(trace, nowMs);
    this.#makeRoom(nowMs);
  }

  /** Decides what has waited for too long. */
  sweep(nowMs: number): void {
    this.#history.fade(nowMs);
    for (const trace of this.#waiting.values()) {
      if (trace.sinceMs > nowMs - undecidedMs) break;
      this.#decideEarly(trace, nowMs);
    }
  }

  /** Decides everything as it stands. */
  finish(nowMs: number): void {
    for (const trace of this.#waiting.values()) this.#decideEarly(trace, nowMs);
  }

  #entry(traceId: string, nowMs: number): Waiting {
    const known = this.#waiting.get(traceId);
    if (known !== undefined) return known;
    const created: Waiting = {
      traceId,
      sinceMs: nowMs,
      openRoots: 0,
      ended: [],
      bytes: waitingBytes,
      failed: false,
      forced: false,
      root: undefined,
    };
    this.#waiting.set(traceId, created);
    this.waitingBytes += waitingBytes;
    return created;
  }

  #hold(trace: Waiting, ended: EndedSpan, isRoot: boolean): void {
    const { span, resource } = ended;
    if (span.status.code === errorStatus) trace.failed = true;
    if (!trace.forced) trace.forced = this.#keepRules.some((matches) => matches(ended));
    if (!isRoot && trace.ended.length >= this.#settings.maxSpansPerTrace) {
      this.#outlets.drop('trace-too-large');
      return;
    }
    const bytes = sizeOf(new RecordedSpan(span, resource), shared(resource));
    trace.ended.push(ended);
    trace.bytes += bytes;
    this.waitingBytes += bytes;
    this.waitingSpans += 1;
  }

  /** A long trace that will be kept in any case need not wait. */
  #handOn(trace: Waiting, nowMs: number): void {
    if (this.#dropRules.length > 0) return;
    if (!trace.forced && !(trace.failed && this.#settings.keepErrors)) return;
    this.#decideEarly(trace, nowMs);
  }

  /** Decides the oldest traces while all together are too large. */
  #makeRoom(nowMs: number): void {
    if (this.waitingBytes <= this.#settings.maxBytes) return;
    for (const trace of this.#waiting.values()) {
      this.#decideEarly(trace, nowMs);
      if (this.waitingBytes <= this.#settings.maxBytes) return;
    }
  }

  #decideEarly(trace: Waiting, nowMs: number): void {
    if (trace.ended.length > 0) this.decidedEarly += 1;
    this.#decide(trace, nowMs);
  }

  #decide(trace: Waiting, nowMs: number): void {
    this.#waiting.delete(trace.traceId);
    this.waitingBytes -= trace.bytes;
    this.waitingSpans -= trace.ended.length;
    const first = trace.root ?? trace.ended[0];
    if (first === undefined) return;
    const decision = this.#judge(trace, first, nowMs);
    this.#cache.set(trace.traceId, decision);
    if (decision.kept) this.keptTraces[decision.reason] += 1;
    else this.droppedTraces += 1;
    for (const ended of trace.ended) this.#settle(ended, decision);
  }

  #judge(trace: Waiting, first: EndedSpan, nowMs: number): TailDecision {
    const settings = this.#settings;
    const { root } = trace;
    const usual = root === undefined ? undefined : this.#history.judge(operationKey(root), root.durationMs, nowMs);
    const slow = this.#fixedMs === undefined ? usual?.slow : (root?.durationMs ?? 0) > this.#fixedMs;
    const caller = settings.mode === 'local' && (first.span.spanContext().traceFlags & 1) === 1;
    const headCount = caller ? 1 : countOfEnded(first.span);
    const kept = (reason: KeepReason): TailDecision => ({ kept: true, reason, count: headCount });
    if (root !== undefined && this.#dropRules.some((matches) => matches(root))) return dropped.rule;
    if (trace.forced) return kept('rule');
    if (trace.failed && settings.keepErrors) return kept('error');
    if (slow === true) return kept('slow');
    if (usual?.rare === true) return kept('rare');
    if (caller) return kept('caller');
    return this.#cache.get(trace.traceId) ?? this.#byProbability(trace.traceId, first, headCount);
  }

  #byProbability(traceId: string, first: EndedSpan, headCount: number): TailDecision {
    const threshold = this.#threshold;
    if (threshold === undefined) return dropped.probability;
    const member = readOtelMember(memberOfEnded(first.span));
    if (!passes(randomnessOf(traceId, member), threshold)) return dropped.probability;
    // Both samplers compare with the same randomness, so the smaller of their probabilities is that of both.
    const count = Math.max(headCount, 1 / this.#settings.probability);
    const standsFor = this.#limiter.offer(count);
    if (standsFor === 0) return dropped.rate;
    return { kept: true, reason: 'probability', count: standsFor };
  }

  #settle(ended: EndedSpan, decision: TailDecision): void {
    if (decision.kept) this.#outlets.keep(ended, decision);
    else this.#outlets.drop(decision.reason);
  }
}

/** Spans of one process share their resource, which is not theirs to pay for. */
const sharedResources = new WeakSet<object>();

function shared(resource: SpanAttributes): WeakSet<object> {
  sharedResources.add(resource);
  return sharedResources;
}

function kindOf(span: ReadableSpanLike): SpanKindName {
  return spanKinds[span.kind] ?? 'internal';
}

function operationKey({ span, resource }: EndedSpan): string {
  const kind = kindOf(span);
  const name = operationOf({ name: span.name, kind, attributes: span.attributes as SpanAttributes });
  return `${kind}\0${String(resource[serviceKey])}\0${name}`;
}

function compileTailRule(rule: TailRule): (ended: EndedSpan) => boolean {
  const matches = compileMatch(rule);
  const minMs = rule.minDurationMs ?? 0;
  return ({ span, resource, durationMs }) =>
    durationMs >= minMs && matches(span.name, kindOf(span), span.attributes, String(resource[serviceKey]));
}
