import { parseOptions } from '@mnops/core/config';
import type { Span, SpanAttributes, SpanLink } from '@mnops/core/spi';
import * as v from 'valibot';
import { spanProblem } from './analysis/span-problem.js';
import { spanJson } from './span-json.js';
import { assembleTrace, type Trace, type TraceJson } from './trace.js';

/** The trace, whose parts `JSON.stringify` can write. The spans must be the caller's own: each gets a hidden `toJSON`. */
export function writableTrace(traceId: string, spans: readonly Span[], whole: boolean): Trace {
  // Hidden, so that copies, comparisons and `structuredClone` see data alone.
  for (const span of spans) Object.defineProperty(span, 'toJSON', { value: () => spanJson(span) });
  return assembleTrace(traceId, spans, whole);
}

const digits = v.pipe(
  v.string(),
  v.check((text) => /^\d{1,20}$/.test(text), 'nanoseconds in decimal digits'),
);
const textSchema = v.looseObject({
  traceId: v.string(),
  complete: v.boolean(),
  spans: v.array(
    v.looseObject({
      startTimeUnixNano: digits,
      durationNano: digits,
      events: v.array(v.looseObject({ timeUnixNano: digits })),
    }),
  ),
});
const spansSchema = v.looseObject({
  spans: v.array(
    v.custom<Span>((span) => spanProblem(span as Span) === undefined, 'a span as JSON.stringify(trace) writes it'),
  ),
});

/**
 * The trace that `JSON.stringify` wrote and `JSON.parse` read; its `spans` may be given to `ingest`. It equals the one that
 * was written, but for NaN and infinite numbers in attributes, for which JSON has `null`: they are left out, and stay `null` in lists.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` with each field that is not as it was written.
 */
export function traceFromJson(json: TraceJson): Trace {
  parseOptions('traceFromJson', textSchema, json);
  const { traceId, complete } = json;
  const spans = json.spans.map(
    (text): Span => ({
      ...text,
      startTimeUnixNano: BigInt(text.startTimeUnixNano),
      durationNano: BigInt(text.durationNano),
      attributes: withoutNull(text.attributes),
      resource: withoutNull(text.resource),
      // Lists that are none are told of below.
      links: Array.isArray(text.links) ? text.links.map(withoutNullOf) : text.links,
      events: text.events.map((event) => ({
        ...event,
        timeUnixNano: BigInt(event.timeUnixNano),
        attributes: withoutNull(event.attributes),
      })),
    }),
  );
  const { spans: checked } = parseOptions('traceFromJson', spansSchema, { spans });
  return writableTrace(traceId, checked, complete);
}

function withoutNullOf(link: SpanLink): SpanLink {
  return link?.attributes === undefined ? link : { ...link, attributes: withoutNull(link.attributes) };
}

function withoutNull(attributes: SpanAttributes): SpanAttributes {
  if (typeof attributes !== 'object' || attributes === null) return attributes;
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => (value as unknown) !== null));
}
