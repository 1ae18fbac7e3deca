import type { Call, MetricSource } from '@mnops/core/spi';
import type { MetricSeries } from '../analysis/root-cause/inputs.js';
import { askOverTime, emptyAnswer, type TimedAnswer, type TimedQuestion } from './ask-over-time.js';
import type { Loaded, LoadTimes } from './load-times.js';
import type { MetricQuestion } from './metric-question.js';

/** Series of all sources together; further ones are left out and told. */
const maxSeries = 10_000;
/** Steps after the time of the trouble that are aimed at, and the most on either side of it. */
const stepsAfter = 10;
const maxSteps = 60;
const minStepMs = 5_000;
const maxStepMs = 60_000;

/** Asks every source every question at each step around the time of the trouble. The series are filled as they come. */
export function metricLoading(
  sources: readonly MetricSource[],
  questions: readonly MetricQuestion[],
  times: LoadTimes,
): { readonly run: (call: Call) => Promise<void>; readonly loaded: () => Loaded<MetricSeries> } {
  const steps = stepsAround(times);
  const asked = sources.flatMap((source) =>
    questions.map((asking) => {
      const { query, serviceLabel = 'service', instanceLabel, windowMs = steps.stepMs } = asking;
      const by = instanceLabel === undefined ? [serviceLabel] : [serviceLabel, instanceLabel];
      const question: TimedQuestion = { source, query, by, windowMs, ...steps };
      return { asking, question, answer: emptyAnswer() };
    }),
  );
  return {
    run: async (call) => await askOverTime(asked, maxSeries, call),
    loaded: () => ({
      items: asked.flatMap(({ asking, answer }) => seriesOf(asking, answer)),
      notes: [
        ...asked.flatMap(({ asking, question, answer }) => noteOf(question.source, asking, answer)),
        ...roomNotes(asked.reduce((sum, { answer }) => sum + answer.leftOut, 0)),
      ],
    }),
  };
}

/** Ends of steps, those next to the time of the trouble first. One step begins at that time. */
function stepsAround({ fromMs, atMs, toMs }: LoadTimes): {
  readonly times: readonly number[];
  readonly stepMs: number;
} {
  const wanted = (toMs - atMs) / stepsAfter;
  const stepMs = Math.min(maxStepMs, Math.max(minStepMs, Math.ceil(wanted / 1_000) * 1_000));
  const times: number[] = [];
  for (let i = 1; i <= maxSteps && atMs + i * stepMs <= toMs; i += 1) times.push(atMs + i * stepMs);
  for (let i = 0; i < maxSteps && atMs - (i + 1) * stepMs >= fromMs; i += 1) times.push(atMs - i * stepMs);
  times.sort((a, b) => Math.abs(a - atMs) - Math.abs(b - atMs));
  return { times, stepMs };
}

function seriesOf(
  { name, role, serviceLabel = 'service', instanceLabel }: MetricQuestion,
  { series }: TimedAnswer,
): MetricSeries[] {
  return [...series.values()].flatMap(({ labels, points }) => {
    const service = labels[serviceLabel] ?? '';
    if (service === '') return [];
    const instance = instanceLabel === undefined ? undefined : labels[instanceLabel];
    return [
      { service, name, role, ...(instance ? { instance } : {}), points: points.toSorted((a, b) => a.atMs - b.atMs) },
    ];
  });
}

function noteOf(source: MetricSource, { name }: MetricQuestion, { answered, failed, reason }: TimedAnswer): string[] {
  if (failed === 0) return [];
  const extent = answered === 0 ? 'did not answer' : 'did not answer at all times';
  return [`Metric source ${source.id} ${extent} about "${name}": ${reason}.`];
}

function roomNotes(leftOut: number): string[] {
  return leftOut === 0 ? [] : [`Series beyond ${maxSeries} were left out.`];
}
