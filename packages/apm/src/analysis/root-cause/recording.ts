import type { Origin } from '../span-facts.js';
import { chargedTo, exclusiveMs, failedItself } from './charges.js';
import type { LogRecord } from './inputs.js';
import type { LogTemplate, LogTemplates } from './log-templates.js';
import type { TraceValues } from './moments.js';
import type { Step, TraceSteps } from './taken-apart.js';

/** Where time is spent or failures begin: inside an operation, or between a caller and the called service. */
export interface Place {
  readonly kind: 'self-time' | 'edge-gap';
  readonly service: string;
  readonly operation: string;
  /** The caller of an edge. */
  readonly caller: string | undefined;
  /** The run above; absent for roots. */
  readonly under: Run | undefined;
  /** In the order of the traces. */
  readonly samples: Sample[];
  /** How many of them failed. */
  failures: number;
  /** The same by trace, once somebody has asked. */
  byTrace: TraceValues | undefined;
}

/** What one span adds to a place: its own time, a wait, or a failure that began there. */
export interface Sample {
  /** Number of its trace in the recording. */
  readonly trace: number;
  /** Whom it is charged to. */
  readonly by: Origin | undefined;
  /** Milliseconds that nothing below it explains. */
  readonly ms: number;
  /** The span failed, and nothing that it called did. */
  readonly failed: boolean;
  /** When it began. */
  readonly startMs: number;
  /** How many spans it stands for. */
  readonly count: number;
}

/** An operation of a service: when it ran, and what happened in it. */
export interface Run {
  readonly service: string;
  readonly operation: string;
  /** Of each time that it ran, in order of the traces: the number of its trace, when it began, who ran it. */
  readonly traces: number[];
  readonly at: number[];
  readonly origins: (Origin | undefined)[];
  /** How many runs each of them stands for. */
  readonly counts: number[];
  /** Lines of a service that belong to no span: its traces are stretches of time. */
  readonly isLoose: boolean;
  /** By what is called, written or thrown. */
  readonly happenings: Map<Run | LogTemplate | string, Happening>;
  /** Where its own time goes, and by caller the way to it. */
  own: Place | undefined;
  readonly ways: Map<string, Place>;
}

/** What happens in the runs of an operation: a call, a line of a log, an exception. */
export interface Happening {
  readonly run: Run;
  readonly kind: 'call' | 'line' | 'exception';
  readonly called: Run | undefined;
  readonly template: { readonly what: string; readonly severity: number };
  /** Which of the runs have it, in order, and how often each. */
  readonly entries: number[];
  readonly times: number[];
}

/** All operations of all services. */
export class Runs {
  readonly all: Run[] = [];
  readonly #byService = new Map<string, Map<string, Run>>();
  readonly #loose = new Map<string, Run>();

  of(service: string, operation: string): Run {
    let own = this.#byService.get(service);
    if (own === undefined) {
      own = new Map();
      this.#byService.set(service, own);
    }
    let run = own.get(operation);
    if (run === undefined) {
      run = this.#added(service, operation, false);
      own.set(operation, run);
    }
    return run;
  }

  /** What stands for the lines of a service that belong to no span. */
  looseOf(service: string): Run {
    let run = this.#loose.get(service);
    if (run === undefined) {
      run = this.#added(service, '', true);
      this.#loose.set(service, run);
    }
    return run;
  }

  #added(service: string, operation: string, isLoose: boolean): Run {
    const run: Run = {
      service,
      operation,
      isLoose,
      happenings: new Map(),
      own: undefined,
      ways: new Map(),
      traces: [],
      at: [],
      origins: [],
      counts: [],
    };
    this.all.push(run);
    return run;
  }
}

/** Length of what counts as one run where lines belong to no trace. */
const looseRunMs = 5_000;

/** Everything of both windows, taken apart once; windows are stretches of it. */
export class Recording {
  readonly traces: readonly TraceSteps[];
  readonly runs: Runs;
  readonly places: Place[] = [];
  /** When each stretch of lines that belong to no span began, and the trace that its first line names. */
  readonly looseAt: number[] = [];
  readonly #looseIds: string[] = [];

  /** @param traces - In the order that windows are taken from. */
  constructor(traces: readonly TraceSteps[], runs: Runs) {
    this.traces = traces;
    this.runs = runs;
    traces.forEach((trace, index) => {
      for (const step of trace.steps) this.#add(step, index);
    });
  }

  /** Adds lines in order of time: each stretch of time, or trace, in which a service writes is one run. */
  addLoose(lines: readonly LogRecord[], templates: LogTemplates): void {
    const stretches = new Map<string, LogRecord[]>();
    for (const line of lines) {
      const { service, atMs, traceId = '' } = line;
      const id = `${service}\n${traceId === '' ? Math.floor(atMs / looseRunMs) : traceId}`;
      const stretch = stretches.get(id);
      if (stretch === undefined) stretches.set(id, [line]);
      else stretch.push(line);
    }
    for (const stretch of stretches.values()) {
      const [{ service, atMs, traceId = '' }] = stretch as [LogRecord];
      const run = this.runs.looseOf(service);
      const trace = this.looseAt.push(atMs) - 1;
      this.#looseIds.push(traceId);
      push(run, trace, atMs, 1, undefined);
      for (const line of stretch) {
        const template = templates.of(line);
        happen(run, 'line', template, template);
      }
    }
  }

  /** Id of a trace, or the one that a stretch of lines names. */
  traceIdOf(run: Run, trace: number): string {
    return (run.isLoose ? this.#looseIds[trace] : this.traces[trace]?.traceId) ?? '';
  }

  #add(step: Step, trace: number): void {
    const { run, children, lines, span, startMs, count } = step;
    push(run, trace, startMs, count, step.origin);
    const { place, origin } = this.#placeOf(step);
    step.trace = trace;
    step.by = origin;
    step.ms = exclusiveMs(step);
    step.failed = failedItself(step);
    if (step.failed) place.failures += 1;
    place.samples.push(step);
    for (const child of children) happen(run, 'call', child.run);
    for (const line of lines) happen(run, 'line', line, line);
    for (const { name, attributes } of span.events) {
      if (name !== 'exception') continue;
      const what = String(attributes?.['exception.type'] ?? 'exception');
      happen(run, 'exception', what, { what, severity: 2 });
    }
  }

  #placeOf(step: Step): { readonly place: Place; readonly origin: Step['origin'] | undefined } {
    const { remote, peer } = chargedTo(step);
    if (remote === undefined && peer === undefined) {
      step.run.own ??= this.#added(step, step.run, undefined);
      return { place: step.run.own, origin: step.origin };
    }
    const to = remote?.run ?? this.runs.of(peer ?? '', step.run.operation);
    const caller = step.origin.service;
    let place = to.ways.get(caller);
    if (place === undefined) {
      place = this.#added(step, to, caller);
      to.ways.set(caller, place);
    }
    return { place, origin: remote?.origin };
  }

  #added(step: Step, { service, operation }: Run, caller: string | undefined): Place {
    const kind = caller === undefined ? 'self-time' : 'edge-gap';
    const place: Place = {
      kind,
      service,
      operation,
      caller,
      under: step.parent?.run,
      samples: [],
      failures: 0,
      byTrace: undefined,
    };
    this.places.push(place);
    return place;
  }
}

function push(run: Run, trace: number, atMs: number, count: number, origin: Origin | undefined): void {
  run.traces.push(trace);
  run.at.push(atMs);
  run.counts.push(count);
  run.origins.push(origin);
}

/** Notes what happens in the run that was added last. */
function happen(
  run: Run,
  kind: Happening['kind'],
  key: Run | LogTemplate | string,
  template?: Happening['template'],
): void {
  let happening = run.happenings.get(key);
  if (happening === undefined) {
    const called = kind === 'call' ? (key as Run) : undefined;
    const what = template ?? { what: called === undefined ? '' : `${called.service} ${called.operation}`, severity: 0 };
    happening = { run, kind, called, template: what, entries: [], times: [] };
    run.happenings.set(key, happening);
  }
  const latest = run.at.length - 1;
  const last = happening.entries.length - 1;
  if (happening.entries[last] === latest) {
    happening.times[last] = (happening.times[last] ?? 0) + 1;
    return;
  }
  happening.entries.push(latest);
  happening.times.push(1);
}
