import type { Context, Span, SpanContext, SpanOptions, Tracer, TraceState } from '@opentelemetry/api';
import type { Sampler, SamplingResult } from '@opentelemetry/sdk-trace-base';
import { callerDecision } from '../propagation/caller.js';
import type { HeadDecider, HeadQuestion, HeadVerdict } from '../sampling/head-sampler.js';
import type { SamplerLike } from '../sampling/sampling-config.js';
import { spanKinds } from '../span-kinds.js';
import { GuardedSpan } from './guarded-span.js';
import type { IdSource } from './random-ids.js';
import { setRandomFlag } from './trace-flags.js';
import { UnsampledSpan, UnsampledTrace } from './unsampled-span.js';

type Api = typeof import('@opentelemetry/api');

/** How spans of this process are decided. */
export interface Decisions {
  readonly decide: HeadDecider;
  /** Asked at every span in place of `decide`. */
  readonly custom: SamplerLike | undefined;
  /** What the tail sampler says outward; `undefined` without one. */
  readonly tail: 'local' | 'propagate' | undefined;
  /** Told of every span that is not recorded. */
  readonly onUnsampled: () => void;
}

const randomFlag = 0b10;
// The numbers of OpenTelemetry's `SamplingDecision`.
const decision = { drop: 0, record: 1, sample: 2 } as const;
const follow: { readonly record: SamplingResult; readonly sample: SamplingResult } = {
  record: { decision: decision.record },
  sample: { decision: decision.sample },
};

/**
 * Decides before the SDK is asked: it makes ids, copies attributes and links of every span, and only then hears that the
 * span is not wanted. What is wanted goes to the SDK with the decision already made.
 */
export class DecidingTracer {
  readonly #api: Api;
  readonly #decisions: Decisions;
  readonly #ids: IdSource;
  readonly #suppressed: (context: Context) => boolean;
  /** The decision and the trace id of the span that the SDK is making now. */
  #result: SamplingResult | undefined;
  #traceId: string | undefined;

  constructor(api: Api, decisions: Decisions, ids: IdSource, suppressed: (context: Context) => boolean) {
    this.#api = api;
    this.#decisions = decisions;
    this.#ids = ids;
    this.#suppressed = suppressed;
  }

  /** The SDK's source of ids: the trace id that was decided on, else a new one. */
  get ids(): IdSource {
    return {
      generateTraceId: () => this.#traceId ?? this.#ids.generateTraceId(),
      generateSpanId: () => this.#ids.generateSpanId(),
    };
  }

  /** The SDK's sampler: what was decided before, or the user's own sampler. */
  get sampler(): Sampler {
    return {
      shouldSample: (...question) => this.#result ?? this.#askCustom(question),
      toString: () => 'MnopsSampler',
    };
  }

  /** Begins a span. May throw what the SDK throws for options that it cannot read. */
  start(tracer: Tracer, name: string, options: SpanOptions | undefined, context: Context): Span {
    const above = options?.root === true ? undefined : this.#api.trace.getSpan(context);
    const { custom, tail } = this.#decisions;
    // A sampler that follows parents would end every trace below spans that are not marked as sampled.
    if (custom !== undefined && tail !== 'local') return this.#record(tracer, name, options, context, above, undefined);
    const trace = (above as Partial<UnsampledSpan> | undefined)?.unsampled;
    if (trace !== undefined) return this.#unsampled(trace);
    const parent = above?.spanContext();
    if (above !== undefined && parent?.isRemote !== true && this.#isValid(parent)) {
      const sampled = (parent.traceFlags & 1) === 1;
      // A span of ours stays recorded when it has ended.
      const recorded = (above as Partial<GuardedSpan>).inner !== undefined || above.isRecording();
      if (!sampled && !recorded) return this.#unsampled(this.#traceOf(parent, parent.traceState));
      return this.#record(tracer, name, options, context, above, sampled ? follow.sample : follow.record);
    }
    if (this.#suppressed(context)) return tracer.startSpan(name, options, context);
    return this.#begin(tracer, name, options, context, this.#isValid(parent) ? parent : undefined, above);
  }

  /** Begins the first span of a trace in this process. */
  #begin(
    tracer: Tracer,
    name: string,
    options: SpanOptions | undefined,
    context: Context,
    parent: SpanContext | undefined,
    above: Span | undefined,
  ): Span {
    const { decide, custom, tail } = this.#decisions;
    if (custom !== undefined) return this.#record(tracer, name, options, context, above, undefined);
    const open = options?.root === true ? undefined : callerDecision(context, parent);
    let callerSampled = parent === undefined ? undefined : (parent.traceFlags & 1) === 1;
    if (open !== undefined) callerSampled = open === 'open' ? undefined : open === 'yes';
    const state = parent?.traceState;
    // Where nobody is told that a trace is sampled, a caller that says nothing has decided nothing.
    const asked = tail === 'local' && callerSampled === false && open === undefined ? undefined : callerSampled;
    const question = new Question(this.#ids, parent?.traceId, name, options, asked, state?.get('ot'));
    const verdict = decide(question);
    const decidedState = this.#stateOf(state, verdict);
    if (!verdict.sampled) {
      const flags = parent === undefined ? randomFlag : parent.traceFlags & randomFlag;
      return this.#unsampled(new UnsampledTrace(this.#ids, question.knownId, flags, decidedState));
    }
    const outward = tail === 'local' && callerSampled !== true ? follow.record : follow.sample;
    const result = decidedState === undefined ? outward : { ...outward, traceState: decidedState };
    return this.#record(tracer, name, options, context, above, result, question.knownId);
  }

  #record(
    tracer: Tracer,
    name: string,
    options: SpanOptions | undefined,
    context: Context,
    above: Span | undefined,
    result: SamplingResult | undefined,
    traceId?: string,
  ): Span {
    // Reading the options may run code of the user, which may begin a span.
    const resultBefore = this.#result;
    const idBefore = this.#traceId;
    this.#result = result;
    this.#traceId = traceId;
    try {
      const span = tracer.startSpan(name, options, context);
      setRandomFlag(span, above?.spanContext(), this.#api.isSpanContextValid);
      if (span.isRecording()) return new GuardedSpan(span);
      this.#decisions.onUnsampled();
      return span;
    } finally {
      this.#result = resultBefore;
      this.#traceId = idBefore;
    }
  }

  #unsampled(trace: UnsampledTrace): UnsampledSpan {
    this.#decisions.onUnsampled();
    return new UnsampledSpan(trace);
  }

  #traceOf({ traceId, traceFlags }: SpanContext, state: TraceState | undefined): UnsampledTrace {
    return new UnsampledTrace(this.#ids, traceId, traceFlags & randomFlag, state);
  }

  #stateOf(state: TraceState | undefined, { member }: HeadVerdict): TraceState | undefined {
    if (member === undefined) return state;
    if (member === '') return state?.unset('ot');
    return (state ?? this.#api.createTraceState()).set('ot', member);
  }

  #isValid(context: SpanContext | undefined): context is SpanContext {
    return context !== undefined && this.#api.isSpanContextValid(context);
  }

  #askCustom(question: Parameters<Sampler['shouldSample']>): SamplingResult {
    try {
      const answer = this.#decisions.custom?.shouldSample(...question) as SamplingResult | undefined;
      if (answer?.decision === decision.drop) return answer;
      const local = this.#decisions.tail === 'local' && answer?.decision === decision.sample;
      if (local) return { ...answer, decision: decision.record };
      return answer?.decision === decision.record ? answer : { ...answer, decision: decision.sample };
    } catch {
      return follow.sample;
    }
  }
}

/** The question, with a trace id that is made when the sampler asks for it. */
class Question implements HeadQuestion {
  readonly name: string;
  readonly callerSampled: boolean | undefined;
  readonly member: string | undefined;
  readonly #ids: IdSource;
  readonly #options: SpanOptions | undefined;
  #traceId: string | undefined;

  constructor(
    ids: IdSource,
    traceId: string | undefined,
    name: string,
    options: SpanOptions | undefined,
    callerSampled: boolean | undefined,
    member: string | undefined,
  ) {
    this.#ids = ids;
    this.#traceId = traceId;
    this.name = name;
    this.#options = options;
    this.callerSampled = callerSampled;
    this.member = member;
  }

  get knownId(): string | undefined {
    return this.#traceId;
  }
  get traceId(): string {
    this.#traceId ??= this.#ids.generateTraceId();
    return this.#traceId;
  }
  get kind(): HeadQuestion['kind'] {
    return spanKinds[this.#options?.kind ?? 0] ?? 'internal';
  }
  get attributes(): HeadQuestion['attributes'] {
    return this.#options?.attributes ?? {};
  }
}
