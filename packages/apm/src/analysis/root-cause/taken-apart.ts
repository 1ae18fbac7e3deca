import type { Span } from '@mnops/core/spi';
import { adjustedCountOf } from '../../sampling/adjusted-count.js';
import { type Origin, operationOf, originOf } from '../span-facts.js';
import type { LogRecord } from './inputs.js';
import type { LogTemplate, LogTemplates } from './log-templates.js';
import type { Run, Runs, Sample } from './recording.js';

/** One span of a trace, joined with the others. */
export interface Step extends Sample {
  readonly span: Span;
  readonly origin: Origin;
  readonly run: Run;
  /** How many spans it stands for, where traces were sampled. */
  readonly count: number;
  readonly startMs: number;
  /** Never before the start, whatever the span says. */
  readonly endMs: number;
  children: Step[];
  /** How many of its children wait for another service. */
  clients: number;
  parent: Step | undefined;
  /** Lines that the service wrote during the span. */
  lines: LogTemplate[];
  // What it adds to its place, once it is recorded. In the span itself: an object more for each costs more than the rest.
  trace: number;
  by: Origin | undefined;
  ms: number;
  failed: boolean;
}

/** The spans of one trace, joined with each other. */
export interface TraceSteps {
  readonly traceId: string;
  readonly steps: readonly Step[];
  /** The same by the id of the span, where lines are looked for. */
  readonly byId: ReadonlyMap<string, Step> | undefined;
  readonly startMs: number;
  /** Of the longest span: clocks of services differ, so that first and last of all spans may be seconds apart. */
  readonly durationMs: number;
  /** How many traces it stands for. */
  readonly count: number;
}

/** Most spans have none of these: they share the empty list. */
const noSteps: Step[] = [];
const noLines: LogTemplate[] = [];

/** Joins spans, and the lines that were written in them, into traces. One instance serves both windows of a comparison. */
export class TraceReader {
  readonly #runs: Runs;
  readonly #hasLines: boolean;
  readonly #programs = new Map<Span['resource'], Program>();

  /** @param hasLines - Whether lines are to be attached. */
  constructor(runs: Runs, hasLines: boolean) {
    this.#runs = runs;
    this.#hasLines = hasLines;
  }

  read(spans: Iterable<Span>): TraceSteps[] {
    const traces = new Map<string, Step[]>();
    let [traceId, steps] = ['', [] as Step[]];
    let [resource, program] = [undefined as Span['resource'] | undefined, undefined as Program | undefined];
    for (const span of spans) {
      if (program === undefined || span.resource !== resource) {
        resource = span.resource;
        program = this.#programOf(resource);
      }
      // To a quarter of a microsecond, which is enough here and several times as fast as whole numbers are divided.
      const startMs = Number(span.startTimeUnixNano) / 1e6;
      const durationMs = Number(span.durationNano) / 1e6;
      if (!Number.isFinite(startMs)) continue;
      const step: Step = {
        span,
        origin: program.origin,
        run: this.#runOf(program, operationOf(span)),
        count: adjustedCountOf(span),
        startMs,
        endMs: durationMs > 0 ? startMs + durationMs : startMs,
        children: noSteps,
        clients: 0,
        parent: undefined,
        lines: noLines,
        trace: -1,
        by: undefined,
        ms: 0,
        failed: false,
      };
      if (span.traceId !== traceId || steps.length === 0) {
        traceId = span.traceId;
        steps = traces.get(traceId) ?? [];
        if (steps.length === 0) traces.set(traceId, steps);
      }
      steps.push(step);
    }
    return Array.from(traces, ([id, own]) => joined(id, own, this.#hasLines));
  }

  #programOf(resource: Span['resource']): Program {
    let program = this.#programs.get(resource);
    if (program === undefined) {
      program = { origin: originOf(resource), runs: new Map() };
      this.#programs.set(resource, program);
    }
    return program;
  }

  #runOf({ origin, runs }: Program, operation: string): Run {
    let run = runs.get(operation);
    if (run === undefined) {
      run = this.#runs.of(origin.service, operation);
      runs.set(operation, run);
    }
    return run;
  }
}

/** One that made spans, and what its operations are. */
interface Program {
  readonly origin: Origin;
  readonly runs: Map<string, Run>;
}

function joined(traceId: string, steps: readonly Step[], hasLines: boolean): TraceSteps {
  const byId = new Map<string, Step>();
  for (const step of steps) byId.set(step.span.spanId, step);
  // Clocks of services differ: the first span that no other one called says when the trace began.
  let [startMs, rootMs, durationMs] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 0];
  let root = steps[0];
  for (const step of steps) {
    startMs = Math.min(startMs, step.startMs);
    durationMs = Math.max(durationMs, step.endMs - step.startMs);
    const { parentSpanId } = step.span;
    const parent = parentSpanId === undefined ? undefined : byId.get(parentSpanId);
    // A span that names itself as parent is nobody's child.
    if (parent !== undefined && parent !== step) {
      if (parent.children === noSteps) parent.children = [step];
      else parent.children.push(step);
      if (step.span.kind === 'client') parent.clients += 1;
      step.parent = parent;
    } else if (step.startMs < rootMs) {
      rootMs = step.startMs;
      root = step;
    }
  }
  return {
    traceId,
    steps,
    byId: hasLines ? byId : undefined,
    startMs: Number.isFinite(rootMs) ? rootMs : startMs,
    durationMs,
    count: root?.count ?? 1,
  };
}

/** Gives lines to the spans that they were written in; what belongs to no span comes back, in order of time. */
export function attachLines(
  traces: readonly TraceSteps[],
  lines: readonly LogRecord[],
  templates: LogTemplates,
): LogRecord[] {
  if (lines.length === 0) return [];
  const loose: LogRecord[] = [];
  const places = new LinePlaces(traces);
  for (const line of lines) {
    const step = places.of(line);
    if (step === undefined) {
      if (Number.isFinite(line.atMs)) loose.push(line);
    } else if (step.lines === noLines) step.lines = [templates.of(line)];
    else step.lines.push(templates.of(line));
  }
  return loose.sort((a, b) => a.atMs - b.atMs);
}

/** Which span a line was written in. */
class LinePlaces {
  readonly #traces: readonly TraceSteps[];
  readonly #byTrace: ReadonlyMap<string, TraceSteps>;
  /** Spans of all traces, once there is a line that names a span and no trace that is known. */
  #bySpan: ReadonlyMap<string, Step> | undefined;
  /** First span of each service, of the traces that were asked about. */
  readonly #firsts = new Map<TraceSteps, Map<string, Step>>();

  constructor(traces: readonly TraceSteps[]) {
    this.#traces = traces;
    this.#byTrace = new Map(traces.map((trace) => [trace.traceId, trace]));
  }

  of({ traceId, spanId, service }: LogRecord): Step | undefined {
    const trace = traceId === undefined ? undefined : this.#byTrace.get(traceId);
    const exact = spanId === undefined || spanId === '' ? undefined : (trace?.byId?.get(spanId) ?? this.#anyOf(spanId));
    const step = exact ?? (trace === undefined ? undefined : this.#firstsOf(trace).get(service));
    return step?.origin.service === service ? step : undefined;
  }

  #anyOf(spanId: string): Step | undefined {
    this.#bySpan ??= new Map(this.#traces.flatMap(({ steps }) => steps.map((step) => [step.span.spanId, step])));
    return this.#bySpan.get(spanId);
  }

  #firstsOf(trace: TraceSteps): Map<string, Step> {
    let firsts = this.#firsts.get(trace);
    if (firsts === undefined) {
      firsts = new Map();
      for (const step of trace.steps) {
        const first = firsts.get(step.origin.service);
        if (first === undefined || step.startMs < first.startMs) firsts.set(step.origin.service, step);
      }
      this.#firsts.set(trace, firsts);
    }
    return firsts;
  }
}
