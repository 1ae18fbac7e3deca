import type { RemoteSpanContext } from './trace-context.js';

/** What a service that uses Datadog says beside the ids. */
export interface DatadogFacts {
  /** -1 and 2 are a user's decision, 0 and 1 a sampler's. */
  readonly priority?: number | undefined;
  /** Product that began the trace, such as `synthetics`. */
  readonly origin?: string | undefined;
  /** Tags named `_dd.p.…` that travel with the trace, without the high half of the trace id. */
  readonly tags: ReadonlyMap<string, string>;
}

/**
 * What the headers of a request say about the trace. A decision on sampling may come without ids; then a new trace
 * begins that follows it.
 */
export interface Caller {
  readonly span?: RemoteSpanContext | undefined;
  /** `open`: the caller leaves it to us. */
  readonly sampling: 'yes' | 'no' | 'open';
  /** Somebody looks for the fault: sampled whatever samplers say, and passed on. */
  readonly debug?: boolean | undefined;
  readonly datadog?: DatadogFacts | undefined;
}

/** Key of the `Caller` in an OpenTelemetry context. The same in every copy of this package. */
export const callerKey: symbol = Symbol.for('mnops.apm.caller');

/** What is needed of a context. */
interface Values {
  getValue(key: symbol): unknown;
}

/** The caller whose headers were read into a context, or into one that it comes from. */
export function callerOf(context: Values): Caller | undefined {
  return context.getValue(callerKey) as Caller | undefined;
}

/**
 * The decision on sampling that a caller made or left open, where the span's parent does not say it: what a sampler
 * asks before it looks at the parent's flag.
 *
 * @param context - The context that the span begins in.
 * @param parent - Its parent; a local one has decided already.
 * @returns `open`: decide as for a root. `yes` and `no`: the caller sent a decision without ids, or asks for debugging.
 * `undefined`: the parent's flag holds, or there is no caller.
 */
export function callerDecision(
  context: Values,
  parent: { readonly spanId: string; readonly isRemote?: boolean | undefined } | undefined,
): 'yes' | 'no' | 'open' | undefined {
  const caller = callerOf(context);
  if (caller === undefined) return undefined;
  const { span, sampling, debug } = caller;
  if (parent === undefined) return span === undefined ? sampling : undefined;
  if (parent.isRemote !== true || parent.spanId !== span?.spanId) return undefined;
  if (debug === true) return 'yes';
  return sampling === 'open' ? 'open' : undefined;
}
