import type { Baggage, Context, SpanContext, TextMapGetter, TextMapPropagator } from '@opentelemetry/api';
import { type BaggageItem, baggageText, jaegerBaggage, readBaggage, readJaegerBaggage } from './baggage.js';
import { type Caller, callerKey, callerOf } from './caller.js';
import type { IncomingHeaders } from './carrier.js';
import { datadogMember, readDatadogMember } from './datadog.js';
import { headerFormats, readFirst } from './header-formats.js';
import type { PropagatorName } from './propagator-names.js';
import type { RemoteSpanContext } from './trace-context.js';
import { readTraceState, traceStateOf } from './trace-state.js';

type Api = typeof import('@opentelemetry/api');

/** Member of `tracestate` that belongs to Datadog. */
const datadogKey = 'dd';

/**
 * A propagator for all formats at once: it writes each of them and reads the first that names a span. What else a
 * caller said stays in the context under `callerKey`, for samplers and for the requests that follow from this one.
 */
export function createPropagator(
  api: Api,
  names: readonly PropagatorName[],
  isSuppressed: (context: Context) => boolean,
): TextMapPropagator {
  const formats = headerFormats(names);
  const has = (name: PropagatorName): boolean => names.includes(name);
  const joinsDatadog = has('datadog') && has('tracecontext');
  const fields = [...formats.flatMap((format) => format.fields), ...(has('baggage') ? ['baggage'] : [])];
  return {
    fields: () => fields,
    inject(context, carrier, setter) {
      if (isSuppressed(context)) return;
      const span = api.trace.getSpanContext(context);
      if (span !== undefined && api.isSpanContextValid(span)) {
        const caller = callerWithin(callerOf(context), span);
        const said = outgoing(span, joinsDatadog ? caller : undefined, joinsDatadog);
        for (const format of formats) {
          for (const [name, value] of format.write(said, caller)) setter.set(carrier, name, value);
        }
      }
      if (!has('baggage') && !has('jaeger')) return;
      const items = itemsOf(api.propagation.getBaggage(context));
      const text = has('baggage') ? baggageText(items) : '';
      if (text !== '') setter.set(carrier, 'baggage', text);
      if (!has('jaeger')) return;
      for (const [name, value] of jaegerBaggage(items)) setter.set(carrier, name, value);
    },
    extract(context, carrier, getter) {
      const header = (name: string): IncomingHeaders[string] => getter.get(carrier, name);
      const caller = readFirst(formats, header);
      let result = caller === undefined ? context : withCaller(api, context, caller, has('datadog'));
      const items = new Map<string, BaggageItem>();
      if (has('jaeger')) {
        for (const [key, item] of readJaegerBaggage(namesIn(getter, carrier), header)) items.set(key, item);
      }
      if (has('baggage')) for (const [key, item] of readBaggage(header('baggage'))) items.set(key, item);
      if (items.size > 0) result = api.propagation.setBaggage(result, baggageOf(api, items));
      return result;
    },
  };
}

function withCaller(api: Api, context: Context, caller: Caller, readsDatadog: boolean): Context {
  const { span } = caller;
  if (span === undefined) return context.setValue(callerKey, caller);
  const { traceState, ...ids } = span;
  const members = traceState === undefined ? undefined : readTraceState(traceState);
  const datadog = caller.datadog ?? (readsDatadog ? readDatadogMember(members?.get(datadogKey)) : undefined);
  const remote: SpanContext = {
    ...ids,
    isRemote: true,
    ...(members === undefined ? {} : { traceState: traceStateOf(members) }),
  };
  const known = datadog === undefined ? caller : { ...caller, datadog };
  return api.trace.setSpanContext(context, remote).setValue(callerKey, known);
}

/** The caller, where the span is of the trace that it began, or of the one that began at its word. */
function callerWithin(caller: Caller | undefined, span: SpanContext): Caller | undefined {
  return caller?.span === undefined || caller.span.traceId === span.traceId ? caller : undefined;
}

function outgoing(span: SpanContext, caller: Caller | undefined, joinsDatadog: boolean): RemoteSpanContext {
  const { traceId, spanId, traceFlags } = span;
  const said = { traceId, spanId, traceFlags, traceState: span.traceState?.serialize() };
  if (!joinsDatadog) return said;
  const others = readTraceState(said.traceState) ?? new Map<string, string>();
  const state = traceStateOf(others).set(datadogKey, datadogMember(said, caller));
  return { ...said, traceState: state.serialize() };
}

function itemsOf(baggage: Baggage | undefined): (readonly [string, BaggageItem])[] {
  return (baggage?.getAllEntries() ?? []).map(([key, { value, metadata }]) => [
    key,
    { value, properties: metadata?.toString() },
  ]);
}

function baggageOf(api: Api, items: ReadonlyMap<string, BaggageItem>): Baggage {
  const entries = [...items].map(([key, { value, properties }]) => {
    const metadata = properties === undefined ? {} : { metadata: api.baggageEntryMetadataFromString(properties) };
    return [key, { value, ...metadata }] as const;
  });
  return api.propagation.createBaggage(Object.fromEntries(entries));
}

/** Other SDKs' getters may have no keys. */
function namesIn<Carrier>(getter: TextMapGetter<Carrier>, carrier: Carrier): readonly string[] {
  try {
    return getter.keys(carrier);
  } catch {
    return [];
  }
}
