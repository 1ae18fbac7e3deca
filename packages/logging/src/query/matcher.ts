import type { LogEntry, LogScalar, LogStoreQuery, LogTest } from '@mnops/core/spi';
import { eachText, tokensOf } from '../store/tokens.js';
import { fieldOf } from './field.js';

/** A compiled query: tests from cheap to costly. */
export interface Matcher {
  /** Words that every match contains; for filters over many entries. */
  readonly needles: readonly string[];
  /** Whether entries of a time range and up to a severity can match at all. */
  mayMatch(minMs: number, maxMs: number, maxSeverity: number): boolean;
  /** What time, severity and trace id say. */
  quick(timeMs: number, severityNumber: number, traceId: string | undefined): boolean;
  /** What the whole entry says, beside `quick`. */
  matches(entry: LogEntry): boolean;
}

/** Compiles a query. */
export function matcherOf(query: LogStoreQuery): Matcher {
  const {
    fromMs = Number.NEGATIVE_INFINITY,
    toMs = Number.POSITIVE_INFINITY,
    minSeverity = 0,
    traceId,
    spanId,
  } = query;
  const phrases = phrasesOf(query.text ?? '');
  const tests = Object.entries(query.where ?? {});
  const { levels } = query;
  return {
    needles: [
      ...phrases.flat(),
      ...tests.flatMap(([field, expected]) => needlesOf(field, expected)),
      ...(traceId === undefined ? [] : [traceId]),
      ...(spanId === undefined ? [] : [spanId]),
    ],
    mayMatch: (minMs, maxMs, maxSeverity) => minMs < toMs && maxMs >= fromMs && maxSeverity >= minSeverity,
    quick: (timeMs, severityNumber, trace) =>
      timeMs >= fromMs &&
      timeMs < toMs &&
      severityNumber >= minSeverity &&
      (traceId === undefined || trace === traceId),
    matches: (entry) =>
      (levels === undefined || levels.includes(entry.level)) &&
      (spanId === undefined || entry.spanId === spanId) &&
      tests.every(([field, expected]) => passes(fieldOf(entry, field), expected)) &&
      (phrases.length === 0 || holdsAll(entry, phrases)),
  };
}

/** Words, and quoted runs of words, as lists of tokens. */
function phrasesOf(text: string): string[][] {
  const parts = text.match(/"[^"]*"|[^\s"]+/g) ?? [];
  return parts.map(tokensOf).filter((tokens) => tokens.length > 0);
}

function holdsAll(entry: LogEntry, phrases: readonly (readonly string[])[]): boolean {
  const texts: string[] = [entry.message, entry.stream];
  if (entry.logger !== undefined) texts.push(entry.logger);
  if (entry.traceId !== undefined) texts.push(entry.traceId);
  if (entry.spanId !== undefined) texts.push(entry.spanId);
  eachText(entry.attributes, (text) => texts.push(text));
  eachText(entry.resource, (text) => texts.push(text));
  const left = new Set(phrases);
  for (const text of texts) {
    if (left.size === 0) return true;
    const tokens = tokensOf(text);
    for (const phrase of left) if (holds(tokens, phrase)) left.delete(phrase);
  }
  return left.size === 0;
}

function holds(tokens: readonly string[], phrase: readonly string[]): boolean {
  const last = tokens.length - phrase.length;
  for (let start = 0; start <= last; start += 1) {
    let same = 0;
    while (same < phrase.length && tokens[start + same] === phrase[same]) same += 1;
    if (same === phrase.length) return true;
  }
  return false;
}

/** Fields whose values are not among the words of a block. */
const withoutWords: readonly string[] = ['level', 'severityNumber', 'format', 'traceId', 'spanId'];

function needlesOf(field: string, expected: LogScalar | LogTest): readonly string[] {
  if (withoutWords.includes(field)) return [];
  if (expected === null) return [];
  if (typeof expected !== 'object') return tokensOf(`${expected}`);
  const only = expected.oneOf?.length === 1 ? expected.oneOf[0] : undefined;
  return only === undefined || only === null ? [] : tokensOf(`${only}`);
}

function passes(value: unknown, expected: LogScalar | LogTest): boolean {
  if (typeof expected !== 'object' || expected === null) return equals(value, expected);
  const { not, oneOf, gt, gte, lt, lte, contains, exists } = expected;
  if (exists !== undefined && (value !== undefined) !== exists) return false;
  if (not !== undefined && listOf(not).some((each) => equals(value, each))) return false;
  if (oneOf !== undefined && !oneOf.some((each) => equals(value, each))) return false;
  if (contains !== undefined && !(typeof value === 'string' && value.toLowerCase().includes(contains.toLowerCase()))) {
    return false;
  }
  if (gt === undefined && gte === undefined && lt === undefined && lte === undefined) return true;
  const number = typeof value === 'number' ? value : Number.NaN;
  return (
    !Number.isNaN(number) &&
    (gt === undefined || number > gt) &&
    (gte === undefined || number >= gte) &&
    (lt === undefined || number < lt) &&
    (lte === undefined || number <= lte)
  );
}

function listOf(value: LogScalar | readonly LogScalar[]): readonly LogScalar[] {
  return Array.isArray(value) ? (value as readonly LogScalar[]) : [value as LogScalar];
}

/** A list is equal to each of its members. */
function equals(value: unknown, expected: LogScalar): boolean {
  return value === expected || (Array.isArray(value) && value.includes(expected));
}
