import type { PropagatorName } from './propagator-names.js';
import {
  type IncomingHeaders,
  type RemoteSpanContext,
  readTraceContext,
  singleHeader,
  traceParent,
} from './trace-context.js';

/** Gives the value of a header by its name in lower case. */
export type HeaderReader = (name: string) => IncomingHeaders[string];

/** How one format says which span is the caller. */
export interface HeaderFormat {
  /** Headers that it writes, in lower case. */
  readonly fields: readonly string[];
  /** The caller's span; `undefined` when the headers name none, or are wrong. Never throws. */
  read(header: HeaderReader): RemoteSpanContext | undefined;
  write(context: RemoteSpanContext): readonly (readonly [name: string, value: string])[];
}

const hexadecimal = /^[0-9a-f]+$/;
const zeroes = /^0+$/;
const maxUnsigned64 = 0xffff_ffff_ffff_ffffn;

const traceContext: HeaderFormat = {
  fields: ['traceparent', 'tracestate'],
  read: (header) => readTraceContext({ traceparent: header('traceparent'), tracestate: header('tracestate') }),
  write: (context) => {
    const { traceState } = context;
    const parent = ['traceparent', traceParent(context)] as const;
    return traceState === undefined || traceState === '' ? [parent] : [parent, ['tracestate', traceState]];
  },
};

const b3Multi: HeaderFormat = {
  fields: ['x-b3-traceid', 'x-b3-spanid', 'x-b3-sampled'],
  read: (header) => {
    const debug = singleHeader(header('x-b3-flags'))?.trim() === '1';
    const sampled = debug ? 'd' : singleHeader(header('x-b3-sampled'))?.trim().toLowerCase();
    return b3Parent(singleHeader(header('x-b3-traceid')), singleHeader(header('x-b3-spanid')), sampled);
  },
  write: ({ traceId, spanId, traceFlags }) => [
    ['x-b3-traceid', traceId],
    ['x-b3-spanid', spanId],
    ['x-b3-sampled', sampledDigit(traceFlags)],
  ],
};

const b3: HeaderFormat = {
  fields: ['b3'],
  // Callers may send either form whatever is configured; the single header goes first.
  read: (header) => {
    const [traceId, spanId, sampled, parentId, ...rest] = singleHeader(header('b3'))?.trim().split('-') ?? [];
    const wrong = rest.length > 0 || (parentId !== undefined && identifier(parentId, [16]) === undefined);
    return (wrong ? undefined : b3Parent(traceId, spanId, sampled)) ?? b3Multi.read(header);
  },
  write: ({ traceId, spanId, traceFlags }) => [['b3', `${traceId}-${spanId}-${sampledDigit(traceFlags)}`]],
};

const jaegerForm = /^([0-9a-f]{1,32}):([0-9a-f]{1,16}):[0-9a-f]{1,16}:([0-9a-f]{1,2})$/;

const jaeger: HeaderFormat = {
  fields: ['uber-trace-id'],
  read: (header) => {
    const text = singleHeader(header('uber-trace-id'));
    const match = jaegerForm.exec(text?.trim().replace(/%3a/gi, ':').toLowerCase() ?? '');
    if (match === null) return undefined;
    const [, traceId = '', spanId = '', flags = '0'] = match;
    return remote(traceId, spanId, (Number.parseInt(flags, 16) & 0b11) !== 0);
  },
  write: ({ traceId, spanId, traceFlags }) => [
    ['uber-trace-id', `${traceId}:${spanId}:0:${sampledDigit(traceFlags).padStart(2, '0')}`],
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
    return remote(`${root[1]}${root[2]}`, parent, said.get('Sampled') !== '0');
  },
  write: ({ traceId, spanId, traceFlags }) => [
    [
      'x-amzn-trace-id',
      `Root=1-${traceId.slice(0, 8)}-${traceId.slice(8)};Parent=${spanId};Sampled=${sampledDigit(traceFlags)}`,
    ],
  ],
};

const datadogHigh = /(?:^|,)\s*_dd\.p\.tid=([0-9a-f]{16})\s*(?:,|$)/;
const datadogPriority = /^-?\d{1,3}$/;

const datadog: HeaderFormat = {
  fields: ['x-datadog-trace-id', 'x-datadog-parent-id', 'x-datadog-sampling-priority', 'x-datadog-tags'],
  read: (header) => {
    const low = decimal64(singleHeader(header('x-datadog-trace-id')));
    const parent = decimal64(singleHeader(header('x-datadog-parent-id')));
    if (low === undefined || parent === undefined) return undefined;
    const high = datadogHigh.exec(singleHeader(header('x-datadog-tags')) ?? '')?.[1] ?? '';
    const priority = singleHeader(header('x-datadog-sampling-priority'))?.trim() ?? '';
    return remote(`${high}${low}`, parent, !datadogPriority.test(priority) || Number(priority) > 0);
  },
  write: ({ traceId, spanId, traceFlags }) => {
    const high = traceId.slice(0, 16);
    return [
      ['x-datadog-trace-id', BigInt(`0x${traceId.slice(16)}`).toString()],
      ['x-datadog-parent-id', BigInt(`0x${spanId}`).toString()],
      ['x-datadog-sampling-priority', sampledDigit(traceFlags)],
      ...(zeroes.test(high) ? [] : [['x-datadog-tags', `_dd.p.tid=${high}`] as const]),
    ];
  },
};

const formats: Readonly<Record<Exclude<PropagatorName, 'baggage'>, HeaderFormat>> = {
  tracecontext: traceContext,
  b3,
  b3multi: { ...b3Multi, read: b3.read },
  jaeger,
  xray,
  datadog,
};

/** The formats that name the caller's span, in the order given. */
export function headerFormats(names: readonly PropagatorName[]): readonly HeaderFormat[] {
  return names.flatMap((name) => (name === 'baggage' ? [] : [formats[name]]));
}

/** What the first format with a caller says; `undefined` when none has one. */
export function readFirst(given: readonly HeaderFormat[], header: HeaderReader): RemoteSpanContext | undefined {
  for (const format of given) {
    const found = format.read(header);
    if (found !== undefined) return found;
  }
  return undefined;
}

function b3Parent(
  trace: string | undefined,
  span: string | undefined,
  sampled: string | undefined,
): RemoteSpanContext | undefined {
  const traceId = identifier(trace, [16, 32]);
  const spanId = identifier(span, [16]);
  if (traceId === undefined || spanId === undefined) return undefined;
  if (sampled !== undefined && !['0', '1', 'd', 'true', 'false'].includes(sampled)) return undefined;
  return remote(traceId, spanId, sampled !== '0' && sampled !== 'false');
}

/** A caller that leaves the decision open counts as sampled: what has no parent is recorded too. */
function remote(traceId: string, spanId: string, sampled: boolean): RemoteSpanContext | undefined {
  if (zeroes.test(traceId) || zeroes.test(spanId)) return undefined;
  return {
    traceId: traceId.padStart(32, '0'),
    spanId: spanId.padStart(16, '0'),
    traceFlags: sampled ? 1 : 0,
    traceState: undefined,
  };
}

function identifier(text: string | undefined, lengths: readonly number[]): string | undefined {
  const lower = text?.trim().toLowerCase() ?? '';
  return lengths.includes(lower.length) && hexadecimal.test(lower) ? lower : undefined;
}

function decimal64(text: string | undefined): string | undefined {
  const digits = text?.trim() ?? '';
  if (!/^\d{1,20}$/.test(digits)) return undefined;
  const value = BigInt(digits);
  return value > maxUnsigned64 ? undefined : value.toString(16).padStart(16, '0');
}

function sampledDigit(traceFlags: number): string {
  return (traceFlags & 1) === 1 ? '1' : '0';
}
