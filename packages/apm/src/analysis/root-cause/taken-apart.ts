import type { Span } from '@mnops/core/spi';
import { type Origin, operationOf, originOf, peerOf } from '../span-facts.js';
import type { LogRecord } from './inputs.js';
import { PairKeys } from './keys.js';
import type { LogTemplate, LogTemplates } from './log-templates.js';

/** One span of a trace, with what it did itself. */
export interface Step {
  readonly span: Span;
  readonly origin: Origin;
  readonly operation: string;
  /** Service and operation as one text. */
  readonly run: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly children: Step[];
  parent: Step | undefined;
  /** Lines that the service wrote during the span. */
  readonly lines: LogTemplate[];
  /** What the span adds to a place, worked out when it is first asked for. */
  charge: Charge | undefined;
}

/** A span's own time and failure, and the place that they are charged to. */
export interface Charge {
  readonly key: string;
  readonly to: ChargedTo;
  readonly sample: Sample;
}

/** What one span adds to a place: its own time, a wait, or a failure that began there. */
export interface Sample {
  readonly traceId: string;
  readonly version: string | undefined;
  readonly instance: string | undefined;
  /** Milliseconds that nothing below it explains. */
  readonly ms: number;
  /** The span failed, and nothing that it called did. */
  readonly failed: boolean;
  readonly atMs: number;
}

/** The spans of one trace, joined with each other. */
export interface TraceSteps {
  readonly steps: readonly Step[];
  readonly startMs: number;
  readonly endMs: number;
}

/** Joins spans, and the lines that were written in them, into traces. One instance serves both windows of a comparison. */
export class TraceReader {
  readonly keys: PairKeys = new PairKeys();
  readonly #origins = new Map<Span['resource'], Origin>();

  read(spans: Iterable<Span>): TraceSteps[] {
    const traces = new Map<string, Step[]>();
    for (const span of spans) {
      const origin = this.#originOf(span.resource);
      const operation = operationOf(span);
      // To a quarter of a microsecond, which is enough here and several times as fast as whole numbers are divided.
      const startMs = Number(span.startTimeUnixNano) / 1e6;
      const step: Step = {
        span,
        origin,
        operation,
        run: this.keys.of(origin.service, operation),
        startMs,
        endMs: startMs + Number(span.durationNano) / 1e6,
        children: [],
        parent: undefined,
        lines: [],
        charge: undefined,
      };
      const steps = traces.get(span.traceId);
      if (steps === undefined) traces.set(span.traceId, [step]);
      else steps.push(step);
    }
    return [...traces.values()].map(joined);
  }

  #originOf(resource: Span['resource']): Origin {
    let origin = this.#origins.get(resource);
    if (origin === undefined) {
      origin = originOf(resource);
      this.#origins.set(resource, origin);
    }
    return origin;
  }
}

function joined(steps: readonly Step[]): TraceSteps {
  const byId = new Map(steps.map((step) => [step.span.spanId, step]));
  let [startMs, endMs] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const step of steps) {
    startMs = Math.min(startMs, step.startMs);
    endMs = Math.max(endMs, step.endMs);
    const { parentSpanId } = step.span;
    const parent = parentSpanId === undefined ? undefined : byId.get(parentSpanId);
    // A span that names itself as parent is nobody's child.
    if (parent === undefined || parent === step) continue;
    parent.children.push(step);
    step.parent = parent;
  }
  return { steps, startMs, endMs };
}

/** Gives lines to the spans that they were written in; what belongs to no span comes back. */
export function attachLines(
  traces: readonly TraceSteps[],
  lines: readonly LogRecord[],
  templates: LogTemplates,
): LogRecord[] {
  const loose: LogRecord[] = [];
  const bySpan = new Map<string, Step>();
  const byService = new Map<string, Map<string, Step>>();
  for (const { steps } of traces) {
    const services = new Map<string, Step>();
    for (const step of steps) {
      bySpan.set(step.span.spanId, step);
      const first = services.get(step.origin.service);
      if (first === undefined || step.startMs < first.startMs) services.set(step.origin.service, step);
    }
    const traceId = steps[0]?.span.traceId;
    if (traceId !== undefined) byService.set(traceId, services);
  }
  for (const line of lines) {
    const { traceId, spanId, service } = line;
    const step =
      (spanId === undefined ? undefined : bySpan.get(spanId)) ??
      (traceId === undefined ? undefined : byService.get(traceId)?.get(service));
    if (step === undefined || step.origin.service !== service) loose.push(line);
    else step.lines.push(templates.of(line));
  }
  return loose;
}

/** Children of one span beyond which they are not compared with each other. */
const maxSiblings = 200;

/**
 * Milliseconds of a span outside of the union of its children; children may overlap and outlive it. Calls that run beside
 * the span explain its time too: in event-driven code the work that waits for a call is often not the call's parent.
 */
function exclusiveMs(step: Step): number {
  const { startMs, endMs, children, parent } = step;
  const others = [...children];
  if (step.span.kind !== 'client' && parent !== undefined && parent.children.length <= maxSiblings) {
    for (const other of parent.children) if (other !== step && other.span.kind === 'client') others.push(other);
  }
  if (others.length === 0) return endMs - startMs;
  const inOrder = others.length === 1 ? others : others.sort((a, b) => a.startMs - b.startMs);
  let covered = 0;
  let reached = startMs;
  for (const other of inOrder) {
    const from = Math.max(other.startMs, reached);
    const to = Math.min(other.endMs, endMs);
    if (to > from) {
      covered += to - from;
      reached = to;
    }
  }
  return Math.max(0, endMs - startMs - covered);
}

/** What a span adds to which place. */
export function chargeOf(step: Step, keys: PairKeys): Charge {
  if (step.charge !== undefined) return step.charge;
  const to = placeOf(step);
  const where = keys.of(to.kind, keys.of(to.service, to.operation));
  const sample = {
    traceId: step.span.traceId,
    version: to.origin?.version,
    instance: to.origin?.instance,
    ms: exclusiveMs(step),
    failed: failedItself(step),
    atMs: step.startMs,
  };
  step.charge = { key: to.caller === undefined ? where : keys.of(where, to.caller), to, sample };
  return step.charge;
}

/** Whether a call failed, and nothing that it called did. */
function failedItself({ span, children }: Step): boolean {
  return span.status.code === 'error' && !children.some((child) => child.span.status.code === 'error');
}

/** Where the time of a span is charged: see {@link placeOf}. */
export interface ChargedTo {
  readonly kind: 'self-time' | 'edge-gap';
  readonly service: string;
  readonly operation: string;
  readonly caller: string | undefined;
  readonly origin: Origin | undefined;
}

/** To the edge for a call that was answered or names whom it called, else to the operation. */
function placeOf(step: Step): ChargedTo {
  const { span, origin, operation, children } = step;
  if (span.kind === 'client') {
    const remote = children.find((child) => child.origin.service !== origin.service);
    if (remote !== undefined) {
      const { service } = remote.origin;
      return { kind: 'edge-gap', service, operation: remote.operation, caller: origin.service, origin: remote.origin };
    }
    const peer = peerOf(span);
    // Nobody answered with a span: the time and the failure belong to whom the caller names.
    if (peer !== undefined) {
      return { kind: 'edge-gap', service: peer.name, operation, caller: origin.service, origin: undefined };
    }
  }
  return { kind: 'self-time', service: origin.service, operation, caller: undefined, origin };
}
