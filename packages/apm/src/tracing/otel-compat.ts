import { AsyncLocalStorage } from 'node:async_hooks';
import type { Context, ContextManager, SpanOptions as OtelSpanOptions, Span, Tracer } from '@opentelemetry/api';
import * as api from '@opentelemetry/api';
import { isTracingSuppressed, suppressTracing } from '@opentelemetry/core';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, type ReadableSpan, type SpanProcessor } from '@opentelemetry/sdk-trace-base';
import { type HeaderCarrier, type HeaderTarget, headerGetter, headerSetter } from '../propagation/carrier.js';
import { createPropagator } from '../propagation/propagator.js';
import type { PropagatorName } from '../propagation/propagator-names.js';
import { AsyncContexts } from './async-contexts.js';
import { DecidingTracer, type Decisions } from './deciding-tracer.js';
import type { GuardedSpan } from './guarded-span.js';
import { idleSpan } from './idle-tracer.js';
import { type IdWords, type RandomIds, randomIds } from './random-ids.js';
import { joinGlobals } from './shared-globals.js';
import { isContext } from './span-options.js';

/** What the host needs of OpenTelemetry, loaded and wired. */
export interface OtelRuntime {
  readonly tracer: Tracer;
  readonly rootContext: Context;
  activeContext(): Context;
  /** Runs with a context active, through awaits and callbacks. */
  withContext<T>(context: Context, run: () => T): T;
  withSpan(context: Context, span: Span): Context;
  /** Whether a context has a span, of this process or of a caller. */
  hasSpan(context: Context): boolean;
  /** Where the active context is kept; `undefined` when another SDK keeps it, or an older manager sets it. */
  readonly storage: AsyncLocalStorage<Context> | undefined;
  /** Runs with tracing suppressed, so that our own requests make no spans. */
  quietly<T>(run: () => T): T;
  inject(headers: HeaderTarget, context: Context): void;
  extract(headers: HeaderCarrier): Context;
  /** Leaves the globals to the next manager, or gives them back. */
  release(): void;
}

/** What the runtime is made from. */
export interface OtelRuntimeOptions {
  readonly resource: Readonly<Record<string, string>>;
  readonly limits: {
    readonly attributes: number;
    readonly events: number;
    readonly links: number;
    readonly eventAttributes: number;
    readonly linkAttributes: number;
    readonly valueLength: number;
  };
  readonly propagators: readonly PropagatorName[];
  readonly registerGlobals: boolean;
  readonly decisions: Decisions;
  readonly onStart: (span: ReadableSpan) => void;
  readonly onEnd: (span: ReadableSpan) => void;
  /** Called when `storage` is there from now on. */
  readonly onStorage: () => void;
}

/** Milliseconds from the Unix epoch to the zero of the monotonic clock, as the process read it when it began. */
const timeOriginMs = performance.timeOrigin;

/** The parts of the SDK's span that say when it began. Those with an underscore are private; without them we do without. */
interface TimedSpan {
  startTime: [number, number];
  /** Monotonic milliseconds. */
  readonly _performanceStartTime?: number;
  /** Milliseconds that the wall clock was ahead of `timeOriginMs` plus the monotonic clock. */
  _performanceOffset?: number;
  readonly _startTimeProvided?: boolean;
}

/** A span of the SDK with what the trace store would have to read from its ids. */
interface SpanWithWords {
  idWords?: IdWords | undefined;
}

/**
 * Loads the OpenTelemetry SDK and builds a tracer on it. The only module that imports the SDK: another major version of
 * it is a change of this file.
 */
export async function loadOtel(options: OtelRuntimeOptions): Promise<OtelRuntime> {
  const { limits } = options;
  const ids = randomIds();
  const processor: SpanProcessor = {
    onStart: (span, parent) => {
      const above = api.trace.getSpan(parent);
      const local = (above as Partial<GuardedSpan> | undefined)?.inner ?? above;
      if (local !== undefined) startBeside(span as unknown as TimedSpan, local as unknown as TimedSpan);
      const begun = span as unknown as ReadableSpan & SpanWithWords;
      // Set on every span, so that all of them have one shape.
      begun.idWords = wordsOf(ids, begun, local as SpanWithWords | undefined);
      options.onStart(begun);
    },
    onEnd: options.onEnd,
    forceFlush: async () => undefined,
    shutdown: async () => undefined,
  };
  const deciding = new DecidingTracer(api, options.decisions, ids, isTracingSuppressed);
  const provider = new BasicTracerProvider({
    // Everything is given, so that the SDK's own reading of OTEL_* variables decides nothing.
    sampler: deciding.sampler,
    resource: resourceFromAttributes({ ...options.resource }),
    spanLimits: {
      attributeCountLimit: limits.attributes,
      attributeValueLengthLimit: limits.valueLength,
      eventCountLimit: limits.events,
      linkCountLimit: limits.links,
      attributePerEventCountLimit: limits.eventAttributes,
      attributePerLinkCountLimit: limits.linkAttributes,
    },
    idGenerator: deciding.ids,
    spanProcessors: [processor],
  });
  const propagator = createPropagator(api, options.propagators, isTracingSuppressed);
  const active = (): Context => (foreign ? api.context.active() : contexts.active());
  const withContext = <T>(context: Context, run: () => T): T =>
    foreign ? api.context.with(context, run) : contexts.with(context, run);
  const within = <T>(context: Context, span: Span, run: (span: Span) => T): T =>
    withContext(api.trace.setSpan(context, span), () => run(span));
  const getTracer = (name: string, version?: string): Tracer =>
    tracerOn(deciding, withoutFigures(provider.getTracer(name, version)), active, within);
  const newContexts = (): ContextManager => new AsyncContexts(api.ROOT_CONTEXT);
  const globals = options.registerGlobals
    ? joinGlobals(api, newContexts, { getTracer, propagator, promoted: options.onStorage })
    : undefined;
  // With somebody else's globals in place, their context manager is the one that instrumented libraries use.
  const foreign = options.registerGlobals && globals === undefined;
  const contexts = globals?.contexts ?? newContexts();
  return {
    tracer: getTracer('@mnops/apm'),
    rootContext: api.ROOT_CONTEXT,
    activeContext: active,
    withContext,
    quietly: (run) => withContext(suppressTracing(api.ROOT_CONTEXT), run),
    withSpan: (context, span) => api.trace.setSpan(context, span),
    hasSpan: (context) => api.trace.getSpanContext(context) !== undefined,
    get storage() {
      return foreign || globals?.answers === false ? undefined : storageOf(contexts);
    },
    inject: (headers, context) => propagator.inject(context, headers, headerSetter),
    extract: (headers) => propagator.extract(api.ROOT_CONTEXT, headers, headerGetter),
    release() {
      if (globals === undefined) contexts.disable();
      else globals.leave();
    },
  };
}

/**
 * Takes the SDK's own figures about spans off a tracer: for a meter that counts nothing it makes three objects and a
 * closure for each span. They are private; where they are not found, they stay.
 */
function withoutFigures(tracer: Tracer): Tracer {
  const figures = (tracer as { readonly _tracerMetrics?: { startSpan?: unknown } })._tracerMetrics;
  if (typeof figures?.startSpan === 'function') figures.startSpan = () => undefined;
  return tracer;
}

/** The ids of a span as numbers; `undefined` where those of its parent are not known. */
function wordsOf(ids: RandomIds, span: ReadableSpan, parent: SpanWithWords | undefined): IdWords | undefined {
  if (span.parentSpanContext === undefined) return ids.wordsOf(span.spanContext(), undefined);
  return parent?.idWords === undefined ? undefined : ids.wordsOf(span.spanContext(), parent.idWords);
}

/** The storage of our context manager, which may be that of another copy of this package. */
function storageOf(contexts: ContextManager): AsyncLocalStorage<Context> | undefined {
  const { storage } = contexts as { readonly storage?: unknown };
  return storage instanceof AsyncLocalStorage ? (storage as AsyncLocalStorage<Context>) : undefined;
}

/** The SDK's tracer with contexts looked up and set in our manager, which is not the global one in every case. */
function tracerOn(
  deciding: DecidingTracer,
  tracer: Tracer,
  active: () => Context,
  within: <T>(context: Context, span: Span, run: (span: Span) => T) => T,
): Tracer {
  // What is no context would throw where the span is put into it, which is no longer the span's beginning.
  const usable = (context: Context | undefined): Context => {
    if (isContext(context)) return context;
    return context === undefined || context === null ? active() : api.ROOT_CONTEXT;
  };
  const startSpan: Tracer['startSpan'] = (name, options, context) => {
    try {
      return deciding.start(tracer, String(name), options, usable(context));
    } catch {
      // Options that the SDK cannot read cost a span, never the user's work.
      return idleSpan();
    }
  };
  return {
    startSpan,
    startActiveSpan: (name: string, ...rest: unknown[]) => {
      const run = rest.pop();
      if (typeof run !== 'function') return undefined;
      const [options, given] = rest as [OtelSpanOptions?, Context?];
      const context = usable(given);
      const span = startSpan(name, options, context);
      return within(context, span, run as (span: Span) => unknown);
    },
  };
}

/**
 * Sets a span's start to the microsecond. The SDK starts spans at whole milliseconds; ours start at the one reading of
 * the wall clock of their local root plus the monotonic time since, so order and durations hold even when the wall
 * clock jumps.
 */
function startBeside(span: TimedSpan, parent: TimedSpan): void {
  const { _performanceOffset: offsetMs } = parent;
  const { _performanceStartTime: monotonicMs } = span;
  // A parent in another process, or a span of an SDK that keeps time in another way.
  if (offsetMs === undefined || monotonicMs === undefined) return;
  span._performanceOffset = offsetMs;
  if (span._startTimeProvided === true) return;
  const atMs = timeOriginMs + offsetMs + monotonicMs;
  const seconds = Math.floor(atMs / 1_000);
  span.startTime = [seconds, Math.floor((atMs - seconds * 1_000) * 1e6)];
}
