import type { Span } from '@mnops/core/spi';
import type { ReadableSpanLike } from '../tracing/recorded-span.js';
import { probabilityOf, readOtelMember } from './consistent-probability.js';

/** Span attribute for how many traces a kept one stands for, where that differs from what `ot=th` says. */
export const adjustedCountKey = 'sampling.adjusted_count';
/** Attribute of a local root for why its trace was kept. */
export const keptByKey = 'sampling.kept_by';

/** No trace stands for more: beyond, one span would drown all others. */
const maxCount = 1e9;
/** Spans of one sampler carry the same text. */
let lastMember = '';
let lastCount = 1;

/** How many spans the one stands for that carries this `ot` member: the inverse of its probability, 1 without `th`. */
export function countOfMember(member: string | undefined): number {
  if (member === undefined) return 1;
  if (member === lastMember) return lastCount;
  const { threshold } = readOtelMember(member);
  lastCount = threshold === undefined ? 1 : Math.min(maxCount, 1 / probabilityOf(threshold));
  lastMember = member;
  return lastCount;
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
  return state === undefined ? undefined : otelMemberOf(state.serialize());
}
