import type { Span } from '@mnops/core/spi';
import type { ReadableSpanLike } from '../tracing/recorded-span.js';
import { probabilityOf, readOtelMember } from './consistent-probability.js';

/** Span attribute for how many traces a kept one stands for, where that differs from what `ot=th` says. */
export const adjustedCountKey = 'sampling.adjusted_count';
/** Attribute of a local root for why its trace was kept. */
export const keptByKey = 'sampling.kept_by';

/** No trace stands for more: beyond, one span would drown all others. */
const maxCount = 1e9;
/** Counts by member; most spans carry one of a few texts. */
const known = new Map<string, number>();
const maxKnown = 256;

/** How many spans the one stands for that carries this `ot` member: the inverse of its probability, 1 without `th`. */
export function countOfMember(member: string | undefined): number {
  if (member === undefined) return 1;
  const before = known.get(member);
  if (before !== undefined) return before;
  const { threshold } = readOtelMember(member);
  const count = threshold === undefined ? 1 : Math.min(maxCount, 1 / probabilityOf(threshold));
  if (known.size >= maxKnown) known.clear();
  known.set(member, count);
  return count;
}

/** How many spans the one with this `tracestate` stands for. */
export function countOfState(traceState: string | undefined): number {
  if (traceState === undefined || traceState === '') return 1;
  return countOfMember(otelMemberOf(traceState));
}

/** How many spans a finished one stands for: `sampling.adjusted_count`, else the inverse of `ot=th`, else 1. */
export function adjustedCountOf(span: Pick<Span, 'attributes' | 'traceState' | 'traceFlags'>): number {
  const given = span.attributes[adjustedCountKey];
  if (typeof given === 'number' && given > 0 && given <= maxCount) return given;
  return countOfState(span.traceState);
}

/** The value of the member `ot`; `undefined` when there is none. */
export function otelMemberOf(traceState: string): string | undefined {
  for (const part of traceState.split(',')) {
    const member = part.trim();
    if (member.startsWith('ot=')) return member.slice(3);
  }
  return undefined;
}

/** How many spans one of an SDK stands for. */
export function countOfEnded(span: ReadableSpanLike): number {
  return span.spanContext().traceState === undefined ? 1 : countOfMember(memberOfEnded(span));
}

/** The value of the member `ot` of a span of an SDK. */
export function memberOfEnded(span: ReadableSpanLike): string | undefined {
  const state = span.spanContext().traceState;
  if (state === undefined) return undefined;
  return state.get === undefined ? otelMemberOf(state.serialize()) : state.get('ot');
}
