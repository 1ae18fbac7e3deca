import type { Caller } from './caller.js';
import type { IncomingHeaders } from './carrier.js';
import { datadog } from './datadog.js';
import type { PropagatorName } from './propagator-names.js';
import { type RemoteSpanContext, readTraceContext, singleHeader, traceParent } from './trace-context.js';

/** Gives the value of a header by its name in lower case. */
export type HeaderReader = (name: string) => IncomingHeaders[string];

/** How one format says which span is the caller, and what was decided on sampling. */
export interface HeaderFormat {
  /** Headers that it writes, in lower case. */
  readonly fields: readonly string[];
  /** What the headers say; `undefined` when they say nothing, or are wrong. Never throws. */
  read(header: HeaderReader): Caller | undefined;
  /** @param caller - What came in with the trace, as far as it goes out again. */
  write(context: RemoteSpanContext, caller?: Caller): readonly (readonly [name: string, value: string])[];
}

const hexadecimal = /^[0-9a-f]+$/;
const zeroes = /^0+$/;

const traceContext: HeaderFormat = {
  fields: ['traceparent', 'tracestate'],
  read: (header) => {
    const span = readTraceContext({ traceparent: header('traceparent'), tracestate: header('tracestate') });
    return span && { span, sampling: (span.traceFlags & 1) === 1 ? 'yes' : 'no' };
  },
  write: (context) => {
    const { traceState } = context;
    const parent = ['traceparent', traceParent(context)] as const;
    return traceState === undefined || traceState === '' ? [parent] : [parent, ['tracestate', traceState]];
  },
};

const b3Multi: HeaderFormat = {
  fields: ['x-b3-traceid', 'x-b3-spanid', 'x-b3-sampled', 'x-b3-flags'],
  read: (header) => {
    const debug = singleHeader(header('x-b3-flags'))?.trim() === '1';
    const sampled = debug ? 'd' : singleHeader(header('x-b3-sampled'))?.trim().toLowerCase();
    const traceId = singleHeader(header('x-b3-traceid'));
    const spanId = singleHeader(header('x-b3-spanid'));
    const decision = b3Decision(sampled);
    if (traceId === undefined && spanId === undefined) return sampled === undefined ? undefined : decision;
    return b3Parent(traceId, spanId, decision);
  },
  write: ({ traceId, spanId, traceFlags }, caller) => [
    ['x-b3-traceid', traceId],
    ['x-b3-spanid', spanId],
    // Debug implies sampled, which is not said twice.
    debugs(traceFlags, caller) ? ['x-b3-flags', '1'] : ['x-b3-sampled', sampledDigit(traceFlags)],
  ],
};

const b3: HeaderFormat = {
  fields: ['b3'],
  // Callers may send either form whatever is configured; the single header goes first.
  read: (header) => {
    const text = singleHeader(header('b3'))?.trim() ?? '';
    const [traceId, spanId, sampled, parentId, ...rest] = text.split('-');
    const wrong = rest.length > 0 || (parentId !== undefined && identifier(parentId, [16]) === undefined);
    const named = wrong ? undefined : b3Parent(traceId, spanId, b3Decision(sampled));
    if (named !== undefined) return named;
    const several = b3Multi.read(header);
    if (several?.span !== undefined) return several;
    // A decision alone: the caller begins no trace, or leaves that to us.
    return (text === '' ? undefined : b3Decision(text)) ?? several;
  },
  write: ({ traceId, spanId, traceFlags }, caller) => [
    ['b3', `${traceId}-${spanId}-${debugs(traceFlags, caller) ? 'd' : sampledDigit(traceFlags)}`],
  ],
};

const jaegerForm = /^([0-9a-f]{1,32}):([0-9a-f]{1,16}):[0-9a-f]{1,16}:([0-9a-f]{1,2})$/;

const jaeger: HeaderFormat = {
  fields: ['uber-trace-id'],
  read: (header) => {
    const text = singleHeader(header('uber-trace-id'));
    const match = jaegerForm.exec(text?.trim().replace(/%3a/gi, ':').toLowerCase() ?? '');
    if (match === null) return undefined;
    const [, traceId = '', spanId = '', flags = '0'] = match;
    const bits = Number.parseInt(flags, 16);
    const debug = (bits & 0b10) !== 0;
    return withIds(traceId, spanId, { sampling: (bits & 0b11) === 0 ? 'no' : 'yes', ...(debug ? { debug } : {}) });
  },
  write: ({ traceId, spanId, traceFlags }, caller) => [
    [
      'uber-trace-id',
      `${traceId}:${spanId}:0:${debugs(traceFlags, caller) ? '03' : sampledDigit(traceFlags).padStart(2, '0')}`,
    ],
  ],
};

const xrayRoot = /^1-([0-9a-f]{8})-([0-9a-f]{24})$/;

const xray: HeaderFormat = {
  fields: ['x-amzn-trace-id'],
  read: (header) => {
    const said = new Map<string, string>();
    for (const part of singleHeader(header('x-amzn-trace-id'))?.split(';') ?? []) {
      if (part.trim() === '') continue;
      const [name = '', value = ''] = part.trim().split('=', 2);
      // Two roots or parents cannot both be right.
      if (said.has(name)) return undefined;
      said.set(name, value);
    }
    const root = xrayRoot.exec(said.get('Root')?.toLowerCase() ?? '');
    const parent = identifier(said.get('Parent'), [16]);
    if (root === null || parent === undefined) return undefined;
    const sampled = said.get('Sampled');
    // `?` asks the service that is called to decide; so does a header without a decision.
    const sampling = sampled === '0' ? 'no' : sampled === '1' ? 'yes' : 'open';
    return withIds(`${root[1]}${root[2]}`, parent, { sampling });
  },
  write: ({ traceId, spanId, traceFlags }) => [
    [
      'x-amzn-trace-id',
      `Root=1-${traceId.slice(0, 8)}-${traceId.slice(8)};Parent=${spanId};Sampled=${sampledDigit(traceFlags)}`,
    ],
  ],
};

const formats: Readonly<Record<Exclude<PropagatorName, 'baggage'>, HeaderFormat>> = {
  tracecontext: traceContext,
  b3,
  b3multi: { ...b3Multi, read: b3.read },
  jaeger,
  xray,
  datadog,
};

/** The formats of these names, in their order. Baggage names no span and is none of them. */
export function headerFormats(names: readonly PropagatorName[]): HeaderFormat[] {
  return names.flatMap((name) => (name === 'baggage' ? [] : [formats[name]]));
}

/**
 * What the first format in the order that names a span says, with what the others add of the same trace; where none
 * names a span, the first decision without one.
 */
export function readFirst(readers: readonly HeaderFormat[], header: HeaderReader): Caller | undefined {
  let first: Caller | undefined;
  for (const format of readers) {
    const caller = format.read(header);
    if (caller === undefined) continue;
    if (first === undefined || (first.span === undefined && caller.span !== undefined)) first = caller;
    else if (sameTrace(first.span, caller.span)) first = joined(first, caller);
  }
  return first;
}

/** Formats with short ids send the low half of a trace id only. */
function sameTrace(one: RemoteSpanContext | undefined, other: RemoteSpanContext | undefined): boolean {
  if (one === undefined || other === undefined) return false;
  if (one.traceId.slice(16) !== other.traceId.slice(16)) return false;
  const [high, low] = [one.traceId.slice(0, 16), other.traceId.slice(0, 16)];
  return high === low || zeroes.test(high) || zeroes.test(low);
}

function joined(first: Caller, other: Caller): Caller {
  const span = first.span && { ...first.span, traceState: first.span.traceState ?? other.span?.traceState };
  const debug = first.debug ?? other.debug;
  const datadogFacts = first.datadog ?? other.datadog;
  return {
    ...first,
    span,
    ...(debug === undefined ? {} : { debug }),
    ...(datadogFacts === undefined ? {} : { datadog: datadogFacts }),
  };
}

type Decision = Omit<Caller, 'span'>;

function b3Decision(sampled: string | undefined): Decision | undefined {
  if (sampled === undefined) return { sampling: 'open' };
  if (sampled === 'd') return { sampling: 'yes', debug: true };
  if (sampled === '1' || sampled === 'true') return { sampling: 'yes' };
  return sampled === '0' || sampled === 'false' ? { sampling: 'no' } : undefined;
}

function b3Parent(
  trace: string | undefined,
  span: string | undefined,
  decision: Decision | undefined,
): Caller | undefined {
  const traceId = identifier(trace, [16, 32]);
  const spanId = identifier(span, [16]);
  if (traceId === undefined || spanId === undefined || decision === undefined) return undefined;
  return withIds(traceId, spanId, decision);
}

/** A caller that leaves the decision open has the flag set: who knows no better records what has no parent, too. */
function withIds(traceId: string, spanId: string, decision: Decision): Caller | undefined {
  if (zeroes.test(traceId) || zeroes.test(spanId)) return undefined;
  const span = {
    traceId: traceId.padStart(32, '0'),
    spanId: spanId.padStart(16, '0'),
    traceFlags: decision.sampling === 'no' ? 0 : 1,
    traceState: undefined,
  };
  return { span, ...decision };
}

function identifier(text: string | undefined, lengths: readonly number[]): string | undefined {
  const lower = text?.trim().toLowerCase() ?? '';
  return lengths.includes(lower.length) && hexadecimal.test(lower) ? lower : undefined;
}

function sampledDigit(traceFlags: number): string {
  return (traceFlags & 1) === 1 ? '1' : '0';
}

function debugs(traceFlags: number, caller: Caller | undefined): boolean {
  return caller?.debug === true && (traceFlags & 1) === 1;
}
