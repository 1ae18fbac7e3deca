import { untilAborted } from '@mnops/core';
import type { Call, MetricQuery, MetricSample, MetricSource } from '@mnops/core/spi';
import type { MetricPoint } from '../analysis/root-cause/inputs.js';
import type { OpenQuery, OpenSelection } from './metric-question.js';
import { reasonOf } from './reason.js';

/** What is asked at several instants. */
export interface TimedQuestion {
  readonly source: MetricSource;
  readonly query: OpenQuery;
  /** Labels that make the groups. */
  readonly by: readonly string[];
  readonly windowMs: number;
  /** Ends of the steps, epoch milliseconds, in the order in which they are asked. */
  readonly times: readonly number[];
  readonly stepMs: number;
}

/** One group of labels over time. */
export interface TimedSeries {
  readonly labels: Readonly<Record<string, string>>;
  /** In the order in which they came; `atMs` is the beginning of the step. */
  readonly points: MetricPoint[];
}

/** What a question was answered so far; it is filled while the question is asked. */
export interface TimedAnswer {
  readonly series: Map<string, TimedSeries>;
  /** Instants that were answered, with or without data. */
  answered: number;
  failed: number;
  /** Why an instant was not answered, of the last one. */
  reason: string | undefined;
  /** Groups that found no room. */
  leftOut: number;
}

/** Questions that are under way to sources at one time. */
const parallel = 8;
/** Failures of one question in a row after which it is not asked again. */
const maxFailures = 3;

/** An answer that is still empty. */
export function emptyAnswer(): TimedAnswer {
  return { series: new Map(), answered: 0, failed: 0, reason: undefined, leftOut: 0 };
}

/**
 * Asks every question at each of its instants and fills the answers. Failures of a source are counted there; it rejects
 * only with the reason of an aborted call.
 */
export async function askOverTime(
  questions: readonly { readonly question: TimedQuestion; readonly answer: TimedAnswer }[],
  maxSeries: number,
  call: Call,
): Promise<void> {
  const room = { series: maxSeries };
  const tasks = tasksOf(questions);
  const work = async (): Promise<void> => {
    for (let next = tasks.next(); next.done !== true; next = tasks.next()) {
      call.signal.throwIfAborted();
      const { question, answer, atMs, state } = next.value;
      if (state.inRow >= maxFailures) continue;
      try {
        const samples = await untilAborted(question.source.query(closed(question), { ...call, atMs }), call.signal);
        take(samples, question, answer, atMs, room);
        answer.answered += 1;
        state.inRow = 0;
      } catch (error) {
        if (call.signal.aborted) throw call.signal.reason;
        answer.failed += 1;
        answer.reason = reasonOf(error);
        state.inRow += 1;
      }
    }
  };
  const workers = await Promise.allSettled(Array.from({ length: parallel }, work));
  for (const worker of workers) if (worker.status === 'rejected') throw worker.reason;
}

interface Task {
  readonly question: TimedQuestion;
  readonly answer: TimedAnswer;
  readonly atMs: number;
  /** Failures of the question in a row. */
  readonly state: { inRow: number };
}

/** The first instants of all questions come first: where time runs out, each has its most telling ones. */
function* tasksOf(
  questions: readonly { readonly question: TimedQuestion; readonly answer: TimedAnswer }[],
): Generator<Task, undefined> {
  const states = questions.map(() => ({ inRow: 0 }));
  const most = questions.reduce((length, { question }) => Math.max(length, question.times.length), 0);
  for (let i = 0; i < most; i += 1) {
    for (const [index, { question, answer }] of questions.entries()) {
      const atMs = question.times[i];
      const state = states[index];
      if (atMs !== undefined && state !== undefined) yield { question, answer, atMs, state };
    }
  }
  return undefined;
}

function closed({ query, by, windowMs }: TimedQuestion): MetricQuery {
  const close = (selection: OpenSelection) => ({ ...selection, windowMs, by });
  if ('promql' in query) return query;
  if (!('ratio' in query)) return close(query);
  return { ratio: { part: close(query.ratio.part), whole: close(query.ratio.whole) } };
}

/** Takes what came in, whatever it is: a source may be anybody's. */
function take(
  samples: readonly MetricSample[],
  { by, stepMs }: TimedQuestion,
  answer: TimedAnswer,
  atMs: number,
  room: { series: number },
): void {
  for (const { labels, value } of samples) {
    if (typeof value !== 'number' || !Number.isFinite(value)) continue;
    const own = Object.fromEntries(by.map((name) => [name, textOf(labels, name)]));
    const key = JSON.stringify(by.map((name) => own[name]));
    let series = answer.series.get(key);
    if (series === undefined) {
      if (room.series === 0) {
        answer.leftOut += 1;
        continue;
      }
      room.series -= 1;
      series = { labels: own, points: [] };
      answer.series.set(key, series);
    }
    series.points.push({ atMs: atMs - stepMs, value });
  }
}

function textOf(labels: Readonly<Record<string, unknown>> | undefined, name: string): string {
  const value = labels !== undefined && Object.hasOwn(labels, name) ? labels[name] : undefined;
  return typeof value === 'string' ? value : '';
}
