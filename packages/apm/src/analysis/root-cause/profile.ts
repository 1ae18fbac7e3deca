import type { LogRecord } from './inputs.js';
import { PairKeys } from './keys.js';
import type { LogTemplate, LogTemplates } from './log-templates.js';
import { chargeOf, type Sample, type Step, type TraceSteps } from './taken-apart.js';

/** Where time is spent or failures begin: inside an operation, or between a caller and the called service. */
export interface Place {
  readonly kind: 'self-time' | 'edge-gap';
  readonly service: string;
  readonly operation: string;
  /** The caller of an edge. */
  readonly caller: string | undefined;
  /** The run above; absent for roots. */
  readonly under: string | undefined;
  readonly samples: Sample[];
}

/** An operation of a service, and how often it ran. */
export interface Run {
  readonly service: string;
  readonly operation: string;
  /** When each began, epoch milliseconds. */
  readonly at: number[];
  /** Traces that it ran in: runs of one trace are not independent of each other. */
  traces: number;
  lastTrace: string;
}

/** What happens in the runs of an operation: a call, a line of a log, an exception. */
export interface Happening {
  readonly run: string;
  readonly kind: 'call' | 'line' | 'exception';
  /** What is called, written or thrown. */
  readonly what: string;
  /** Run that is called; absent for the others. */
  readonly called: string | undefined;
  /** How bad it is in itself: 0 nothing, 1 a warning, 2 an error. */
  readonly severity: number;
  /** How often it happened. */
  times: number;
  /** When each run began in which it happened. */
  readonly at: number[];
  /** Some traces that show it. */
  readonly traceIds: string[];
}

/** The traces of one window, taken apart. */
export interface Profile {
  readonly traces: number;
  /** Mean milliseconds of a trace. */
  readonly traceMs: number;
  readonly places: ReadonlyMap<string, Place>;
  readonly runs: ReadonlyMap<string, Run>;
  readonly happenings: ReadonlyMap<string, Happening>;
  /** Spans by service, and in it by version and by instance. */
  readonly origins: ReadonlyMap<string, Origins>;
}

/** How the spans of a service are shared out between its versions and its instances. */
export interface Origins {
  readonly version: ReadonlyMap<string, number>;
  readonly instance: ReadonlyMap<string, number>;
}

/** Which traces count: those that a span of this service or operation takes part in. */
export interface Entry {
  readonly service?: string | undefined;
  readonly operation?: string | undefined;
}

/** Whether a trace takes part in what is asked about. */
export function takesPart({ steps }: TraceSteps, { service, operation }: Entry): boolean {
  return steps.some(
    (step) =>
      (service === undefined || service === step.origin.service) &&
      (operation === undefined || operation === step.operation),
  );
}

interface Counts {
  readonly version: Map<string, number>;
  readonly instance: Map<string, number>;
}

/** Gathers traces and lines of one window. */
export class ProfileBuilder {
  readonly #keys: PairKeys;
  readonly #places = new Map<string, Place>();
  readonly #runs = new Map<string, Run>();
  readonly #happenings = new Map<string, Happening>();
  readonly #origins = new Map<string, Counts>();
  #traces = 0;
  #totalMs = 0;

  constructor(keys: PairKeys = new PairKeys()) {
    this.#keys = keys;
  }

  /** Adds one trace. */
  add({ steps, startMs, endMs }: TraceSteps): void {
    this.#traces += 1;
    this.#totalMs += endMs - startMs;
    for (const step of steps) {
      this.#addSample(step);
      this.#addOrigin(step);
      this.#addHappenings(step);
    }
  }

  /** Adds lines that belong to no span: each stretch of time, or trace, in which a service writes is one run. */
  addLoose(lines: readonly LogRecord[], templates: LogTemplates): void {
    const runs = new Map<string, Set<LogTemplate>>();
    for (const line of lines) {
      const { service, atMs, traceId = '' } = line;
      const key = this.#keys.of(service, '');
      const id = `${key}${traceId === '' ? Math.floor(atMs / looseRunMs) : traceId}`;
      let written = runs.get(id);
      if (written === undefined) {
        written = new Set();
        runs.set(id, written);
        this.#run(key, service, '', id).at.push(atMs);
      }
      const template = templates.of(line);
      this.#happen(key, 'line', template, traceId, atMs, written.size < written.add(template).size);
    }
  }

  /** What was gathered. */
  profile(): Profile {
    return {
      traces: this.#traces,
      traceMs: this.#traces === 0 ? 0 : this.#totalMs / this.#traces,
      places: this.#places,
      runs: this.#runs,
      happenings: this.#happenings,
      origins: this.#origins,
    };
  }

  #addSample(step: Step): void {
    const { key, to, sample } = chargeOf(step, this.#keys);
    let place = this.#places.get(key);
    if (place === undefined) {
      const { kind, service, operation, caller } = to;
      place = { kind, service, operation, caller, under: step.parent?.run, samples: [] };
      this.#places.set(key, place);
    }
    place.samples.push(sample);
  }

  #addOrigin({ origin: { service, version, instance } }: Step): void {
    let counts = this.#origins.get(service);
    if (counts === undefined) {
      counts = { version: new Map(), instance: new Map() };
      this.#origins.set(service, counts);
    }
    if (version !== undefined) counts.version.set(version, (counts.version.get(version) ?? 0) + 1);
    if (instance !== undefined) counts.instance.set(instance, (counts.instance.get(instance) ?? 0) + 1);
  }

  #addHappenings(step: Step): void {
    const { run, origin, operation, children, lines, span, startMs } = step;
    const { traceId } = span;
    this.#run(run, origin.service, operation, traceId).at.push(startMs);
    const called = children.length > 1 ? new Set<string>() : undefined;
    for (const child of children) {
      const isFirst = called === undefined || called.size < called.add(child.run).size;
      this.#happen(run, 'call', { what: child.run, called: child.run, severity: 0 }, traceId, startMs, isFirst);
    }
    const written = new Set<LogTemplate>();
    for (const line of lines) this.#happen(run, 'line', line, traceId, startMs, written.size < written.add(line).size);
    for (const { name, attributes } of span.events) {
      if (name !== 'exception') continue;
      const what = String(attributes?.['exception.type'] ?? 'exception');
      this.#happen(run, 'exception', { what, severity: 2 }, traceId, startMs, true);
    }
  }

  #run(key: string, service: string, operation: string, traceId: string): Run {
    let run = this.#runs.get(key);
    if (run === undefined) {
      run = { service, operation, at: [], traces: 0, lastTrace: '' };
      this.#runs.set(key, run);
    }
    if (run.lastTrace !== traceId) {
      run.traces += 1;
      run.lastTrace = traceId;
    }
    return run;
  }

  #happen(
    run: string,
    kind: Happening['kind'],
    { what, called, severity }: { what: string; called?: string; severity: number },
    traceId: string,
    atMs: number,
    isFirstOfRun: boolean,
  ): void {
    const key = this.#keys.of(run, this.#keys.of(kind, called ?? what));
    let happening = this.#happenings.get(key);
    if (happening === undefined) {
      happening = { run, kind, what, called, severity, times: 0, at: [], traceIds: [] };
      this.#happenings.set(key, happening);
    }
    happening.times += 1;
    if (!isFirstOfRun) return;
    happening.at.push(atMs);
    if (happening.traceIds.length < 3) happening.traceIds.push(traceId);
  }
}

/** Length of what counts as one run where lines belong to no trace. */
const looseRunMs = 5_000;
