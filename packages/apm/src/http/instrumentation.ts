import type { IncomingMessage } from 'node:http';
import { warnOfFailure } from '@mnops/core';
import type { Context, Span, Tracer } from '@opentelemetry/api';
import type { HeaderCarrier } from '../propagation/carrier.js';
import type { HttpRequestFacts } from './request-facts.js';

/** What is needed of a `PerformanceMonitoringManager`. */
export interface HttpTracing {
  readonly tracer: Tracer;
  inject(headers: Record<string, string>, context?: Context): void;
  extract(headers: HeaderCarrier): Context;
  withContext<T>(context: Context, run: () => T): T;
}

/** Which requests get spans, and what the spans say. */
export interface HttpInstrumentationOptions {
  /** Requests to `node:http` and `node:https` servers. Default true. */
  readonly incoming?: boolean | undefined;
  /** Requests of `node:http`, `node:https`, `fetch` and undici. Default true. */
  readonly outgoing?: boolean | undefined;
  /** True for requests without a span, such as probes; work inside an ignored incoming request gets none either. */
  readonly ignore?: ((request: HttpRequestFacts) => boolean) | undefined;
  /**
   * Route of an incoming request that was answered, such as `/items/:id`: it becomes `http.route` and part of the name.
   * Default: the route of Express, or what an OpenTelemetry instrumentation of the framework says.
   */
  readonly route?: ((request: IncomingMessage) => string | undefined) | undefined;
  /** Called when a span has begun, to add attributes. */
  readonly onRequest?: ((span: Span, request: HttpRequestFacts) => void) | undefined;
}

/** A running instrumentation, as its parts see it. */
export interface ActiveInstrumentation {
  readonly apm: HttpTracing;
  readonly options: HttpInstrumentationOptions;
  /** False once it was undone while somebody else's wrapper still leads here. */
  active: boolean;
  /** Hooks of the user that threw; each was told of once. */
  readonly failedHooks: Set<string>;
}

/** OpenTelemetry's numbers. */
export const serverKind = 1;
export const clientKind = 2;
export const errorStatus = 2;

/** Headers that say that a request belongs to a span already. */
const parentHeaders = new Set(['traceparent', 'b3', 'x-b3-traceid', 'uber-trace-id', 'x-datadog-trace-id']);

/** Whether a header names a parent. */
export function namesParent(header: unknown): boolean {
  return typeof header === 'string' && parentHeaders.has(header.toLowerCase());
}

/** Whether a request is to have no span. A hook that throws ignores nothing. */
export function ignores(instrumentation: ActiveInstrumentation, facts: HttpRequestFacts): boolean {
  try {
    return instrumentation.options.ignore?.(facts) === true;
  } catch (error) {
    hookFailed(instrumentation, 'ignore', error);
    return false;
  }
}

/** Tells the user's hook of a span; what it throws stays here. */
export function announce(instrumentation: ActiveInstrumentation, span: Span, facts: HttpRequestFacts): void {
  try {
    instrumentation.options.onRequest?.(span, facts);
  } catch (error) {
    hookFailed(instrumentation, 'onRequest', error);
  }
}

/** Warns once of each hook of the user that throws: the request goes on without it. */
export function hookFailed(
  { failedHooks }: ActiveInstrumentation,
  hook: 'ignore' | 'route' | 'onRequest',
  error: unknown,
): void {
  if (failedHooks.has(hook)) return;
  failedHooks.add(hook);
  warnOfFailure('MNOPS_CALLBACK_FAILED', `The hook ${hook} of instrumentHttp`, error);
}

/** Marks a function of ours that stands in the place of another one; the same in every copy of this package. */
const layerKey = Symbol.for('mnops.apm.http.layer');

interface Layer {
  readonly below: unknown;
  /** False once it was undone: it only passes on. */
  live: boolean;
}

/** Marks a function that stands in the place of another one. The function that comes back says that it was undone. */
export function layOver<T extends (...values: never[]) => unknown>(above: T, below: T): () => void {
  const layer: Layer = { below, live: true };
  Object.defineProperty(above, layerKey, { value: layer, enumerable: false });
  return () => {
    layer.live = false;
  };
}

/** What a function leads to without layers of ours that were undone, but could not be taken off: others lay on them. */
export function withoutDeadLayers<T>(top: T): T {
  let current: unknown = top;
  for (;;) {
    const layer = (current as { readonly [layerKey]?: Layer } | undefined)?.[layerKey];
    if (layer === undefined || layer.live) return current as T;
    current = layer.below;
  }
}

const officialNames = new Set(['incomingRequest', 'outgoingRequest', 'outgoingGetRequest', 'httpsOutgoingRequest']);

/** Marks that OpenTelemetry's instrumentations leave on functions. */
interface Wrapped {
  readonly name?: unknown;
  readonly __wrapped?: unknown;
  readonly __original?: unknown;
}

/** Whether OpenTelemetry's own instrumentation of `http` is at work in a function, or in one that it wraps. */
export function isOfficial(wrapped: unknown): boolean {
  let current = wrapped;
  for (let depth = 0; typeof current === 'function' && depth < 8; depth += 1) {
    const { name, __wrapped, __original } = current as Wrapped;
    if (__wrapped === true && officialNames.has(String(name))) return true;
    current = __original;
  }
  return false;
}

type Emit = (this: unknown, event: string | symbol, ...values: unknown[]) => boolean;

/**
 * Sees the events of one emitter before its listeners do. Not a listener itself: that Node finds none of `response` or
 * `error` means something.
 */
export function watchEvents(
  emitter: { emit: (event: string, ...values: never[]) => boolean },
  see: (event: string | symbol, values: readonly unknown[], pass: () => boolean) => boolean,
): void {
  const original = emitter.emit as unknown as Emit;
  const emit: Emit = function (this: unknown, event, ...values) {
    return see(event, values, () => Reflect.apply(original, this, [event, ...values]) as boolean);
  };
  Object.defineProperty(emitter, 'emit', { value: emit, configurable: true, writable: true, enumerable: false });
}
