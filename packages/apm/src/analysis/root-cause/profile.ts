import { type Moments, momentsOf, traceValuesOf } from './moments.js';
import type { Happening, Place, Recording, Run, Sample } from './recording.js';
import type { TraceSteps } from './taken-apart.js';

/** Which traces count: those that a span of this service or operation takes part in. */
export interface Entry {
  readonly service?: string | undefined;
  readonly operation?: string | undefined;
}

/** Whether a trace takes part in what is asked about. */
export function takesPart({ steps }: TraceSteps, { service, operation }: Entry): boolean {
  return steps.some(
    ({ run }) =>
      (service === undefined || service === run.service) && (operation === undefined || operation === run.operation),
  );
}

/** Numbers of traces, or of stretches of lines: from the first on, before the last. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** What runs of one operation amount to in a window. */
export interface RunCount {
  readonly runs: number;
  /** How many runs they stand for. */
  readonly weight: number;
  /** How many runs of equal weight, independent of each other, would say as much: runs of one trace are not independent. */
  readonly independent: number;
  /** Traces that it ran in. */
  readonly traces: number;
}

/** How often something happens in the runs of an operation. */
export interface HappeningCount {
  /** Share of the runs that have it. */
  readonly share: number;
  /** Times per run. */
  readonly times: number;
  /** Variance of the times among runs. */
  readonly variance: number;
}

/** One window of a recording. Cheap to make: what it holds is looked up when it is asked for. */
export class Profile {
  readonly recording: Recording;
  /** Traces in it. */
  readonly traces: number;
  /** How many traces they stand for. */
  readonly weight: number;
  /** Mean milliseconds of a trace. */
  readonly traceMs: number;
  readonly #range: Range;
  readonly #loose: Range;
  readonly #counts = new Map<Run, RunCount>();

  constructor(recording: Recording, range: Range, loose: Range) {
    this.recording = recording;
    this.#range = range;
    this.#loose = loose;
    this.traces = range.to - range.from;
    let [weight, milliseconds] = [0, 0];
    for (let index = range.from; index < range.to; index += 1) {
      const { durationMs, count } = recording.traces[index] as TraceSteps;
      weight += count;
      milliseconds += count * durationMs;
    }
    this.weight = weight;
    this.traceMs = weight === 0 ? 0 : milliseconds / weight;
  }

  samplesOf({ samples }: Place): readonly Sample[] {
    const { from, to } = this.#range;
    const first = lowerBound(samples.length, (index) => (samples[index] as Sample).trace, from);
    return samples.slice(
      first,
      lowerBound(samples.length, (index) => (samples[index] as Sample).trace, to),
    );
  }

  /** What the samples of a place amount to. */
  momentsOf(place: Place): Moments {
    const { from, to } = this.#range;
    place.byTrace ??= traceValuesOf(place.samples);
    const { traces } = place.byTrace;
    const at = (index: number): number => traces[index] as number;
    return momentsOf(place.byTrace, lowerBound(traces.length, at, from), lowerBound(traces.length, at, to));
  }

  /** Numbers of those runs of an operation that are in the window. */
  runsOf({ isLoose, traces }: Run): Range {
    const { from, to } = isLoose ? this.#loose : this.#range;
    const at = (index: number): number => traces[index] as number;
    return { from: lowerBound(traces.length, at, from), to: lowerBound(traces.length, at, to) };
  }

  /** Numbers of those entries of a happening that are in the window. */
  entriesOf({ run, entries }: Happening): Range {
    const { from, to } = this.runsOf(run);
    const at = (index: number): number => entries[index] as number;
    return { from: lowerBound(entries.length, at, from), to: lowerBound(entries.length, at, to) };
  }

  /** Calls back for each run in the window, with its number and whether the happening is in it. */
  eachRun(happening: Happening, visit: (run: number, has: boolean) => void): void {
    const { from, to } = this.runsOf(happening.run);
    let entry = this.entriesOf(happening).from;
    for (let run = from; run < to; run += 1) {
      const has = happening.entries[entry] === run;
      if (has) entry += 1;
      visit(run, has);
    }
  }

  countOf(run: Run): RunCount {
    let count = this.#counts.get(run);
    if (count === undefined) {
      count = this.#counted(run);
      this.#counts.set(run, count);
    }
    return count;
  }

  happeningOf(happening: Happening): HappeningCount {
    const { from, to } = this.entriesOf(happening);
    const { counts } = happening.run;
    let [weight, times, squares] = [0, 0, 0];
    for (let index = from; index < to; index += 1) {
      const count = counts[happening.entries[index] as number] as number;
      const own = happening.times[index] as number;
      weight += count;
      times += count * own;
      squares += count * own * own;
    }
    const all = this.countOf(happening.run).weight;
    if (all === 0) return { share: 0, times: 0, variance: 0 };
    return { share: weight / all, times: times / all, variance: squares / all - (times / all) ** 2 };
  }

  /** Some traces that show it. */
  tracesOf(happening: Happening): string[] {
    const { run, entries } = happening;
    const { from, to } = this.entriesOf(happening);
    const ids = new Set<string>();
    for (let index = from; index < to && ids.size < 3; index += 1) {
      ids.add(this.recording.traceIdOf(run, run.traces[entries[index] as number] as number));
    }
    return [...ids];
  }

  /** How many spans of a service come from which of its versions or instances. */
  originsOf(service: string, key: 'version' | 'instance'): Map<string, number> {
    const counts = new Map<string, number>();
    for (let index = this.#range.from; index < this.#range.to; index += 1) {
      for (const { origin, count } of this.recording.traces[index]?.steps ?? []) {
        const name = origin.service === service ? origin[key] : undefined;
        if (name !== undefined) counts.set(name, (counts.get(name) ?? 0) + count);
      }
    }
    return counts;
  }

  #counted(run: Run): RunCount {
    const { from, to } = this.runsOf(run);
    let [weight, squares, traces, last] = [0, 0, 0, -1];
    for (let index = from; index < to; index += 1) {
      const count = run.counts[index] as number;
      weight += count;
      squares += count * count;
      if (run.traces[index] !== last) traces += 1;
      last = run.traces[index] as number;
    }
    const runs = to - from;
    const independent = runs === 0 ? 0 : ((weight * weight) / squares) * (traces / runs);
    return { runs, weight, independent, traces };
  }
}

/** First index whose value, in rising order, is not below the one given. */
export function lowerBound(length: number, at: (index: number) => number, value: number): number {
  let [low, high] = [0, length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (at(middle) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
