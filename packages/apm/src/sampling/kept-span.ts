import type { ReadableSpanLike } from '../tracing/recorded-span.js';
import { adjustedCountKey, countOfEnded, keptByKey } from './adjusted-count.js';
import type { KeepReason } from './sampling-stats.js';

/**
 * A span of a kept trace as it is stored and delivered: marked as sampled, with how many it stands for, and on a local
 * root why its trace was kept. The SDK's own span stays as it is, because other processors may read it.
 *
 * How many it stands for is an attribute and not `ot=th`: what the trace state says was sent to other services before
 * anything was decided, and a trace that was kept for an error was not kept by a probability.
 */
export function keptSpan(span: ReadableSpanLike, reason: KeepReason, count: number): ReadableSpanLike {
  const { parentSpanContext: parent, attributes } = span;
  const context = span.spanContext();
  const sampled = { ...context, traceFlags: context.traceFlags | 1 };
  return {
    name: span.name,
    kind: span.kind,
    spanContext: () => sampled,
    parentSpanContext: parent,
    startTime: span.startTime,
    duration: span.duration,
    status: span.status,
    attributes: {
      ...attributes,
      ...(count === countOfEnded(span) ? {} : { [adjustedCountKey]: count }),
      ...(parent === undefined || parent.isRemote === true ? { [keptByKey]: reason } : {}),
    },
    events: span.events,
    links: span.links,
    resource: span.resource,
    instrumentationScope: span.instrumentationScope,
    droppedAttributesCount: span.droppedAttributesCount,
    droppedEventsCount: span.droppedEventsCount,
    droppedLinksCount: span.droppedLinksCount,
  };
}
