import type { Span } from '@mnops/core/spi';
import { epochMs, type Origin, operationOf, originOf, peerOf } from '../span-facts.js';

/** What one span adds to a place: its own time, a wait, or a failure that began there. */
export interface Sample {
  readonly traceId: string;
  readonly version: string | undefined;
  readonly instance: string | undefined;
  /** Milliseconds that nothing below it explains. */
  readonly ms: number;
  /** The span failed, and nothing that it called did. */
  readonly failed: boolean;
}

/** Where time is spent or failures begin: inside an operation, or between a caller and the called service. */
export interface Place {
  readonly kind: 'self-time' | 'edge-gap';
  readonly service: string;
  readonly operation: string;
  /** The caller of an edge. */
  readonly caller: string | undefined;
  /** The operation above, as `[service, operation]` in JSON; absent for roots. */
  readonly under: string | undefined;
  readonly samples: Sample[];
}

/** The traces of one window, taken apart. */
export interface Profile {
  readonly traces: number;
  /** Mean milliseconds of a trace. */
  readonly traceMs: number;
  readonly places: ReadonlyMap<string, Place>;
  /** Calls from an operation to an operation: `[service, operation, called service, called operation]` as JSON. */
  readonly calls: ReadonlyMap<string, number>;
  /** How often each operation ran: `[service, operation]` as JSON. */
  readonly runs: ReadonlyMap<string, number>;
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

interface Node {
  readonly span: Span;
  readonly origin: Origin;
  readonly operation: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly children: Node[];
  parent: Node | undefined;
}

/** Children of one span beyond which they are not compared with each other. */
const maxSiblings = 200;

/** Takes the traces of a window apart into places, calls and failures. */
export function profileOf(spans: Iterable<Span>, entry: Entry | undefined): Profile {
  const places = new Map<string, Place>();
  const calls = new Map<string, number>();
  const runs = new Map<string, number>();
  const origins = new Map<string, { version: Map<string, number>; instance: Map<string, number> }>();
  let traces = 0;
  let totalMs = 0;
  for (const nodes of tracesOf(spans)) {
    if (entry !== undefined && !nodes.some((node) => isEntry(node, entry))) continue;
    traces += 1;
    let [first, last] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const node of nodes) {
      first = Math.min(first, node.startMs);
      last = Math.max(last, node.endMs);
      addNode(places, node);
      countOrigin(origins, node.origin);
      countCalls(calls, runs, node);
    }
    totalMs += last - first;
  }
  return { traces, traceMs: traces === 0 ? 0 : totalMs / traces, places, calls, runs, origins };
}

function isEntry({ origin, operation }: Node, entry: Entry): boolean {
  return (
    (entry.service === undefined || entry.service === origin.service) &&
    (entry.operation === undefined || entry.operation === operation)
  );
}

function tracesOf(spans: Iterable<Span>): Iterable<Node[]> {
  const traces = new Map<string, Node[]>();
  for (const span of spans) {
    const startMs = epochMs(span.startTimeUnixNano);
    const node: Node = {
      span,
      origin: originOf(span.resource),
      operation: operationOf(span),
      startMs,
      endMs: startMs + Number(span.durationNano) / 1e6,
      children: [],
      parent: undefined,
    };
    const nodes = traces.get(span.traceId);
    if (nodes === undefined) traces.set(span.traceId, [node]);
    else nodes.push(node);
  }
  for (const nodes of traces.values()) {
    const byId = new Map(nodes.map((node) => [node.span.spanId, node]));
    for (const node of nodes) {
      const { parentSpanId } = node.span;
      const parent = parentSpanId === undefined ? undefined : byId.get(parentSpanId);
      // A span that names itself as parent is nobody's child.
      if (parent === undefined || parent === node) continue;
      parent.children.push(node);
      node.parent = parent;
    }
  }
  return traces.values();
}

/** Adds what a span itself took: to the edge for a call that was answered, else to the operation. */
function addNode(places: Map<string, Place>, node: Node): void {
  const { span, origin, operation, children } = node;
  const remote = children.find((child) => child.origin.service !== origin.service);
  const failed = span.status.code === 'error' && !children.some((child) => child.span.status.code === 'error');
  const under = node.parent && JSON.stringify([node.parent.origin.service, node.parent.operation]);
  const common = { traceId: span.traceId, ms: exclusiveMs(node), failed };
  if (span.kind === 'client' && remote !== undefined) {
    const { service, version, instance } = remote.origin;
    const place = { kind: 'edge-gap' as const, service, operation: remote.operation, caller: origin.service, under };
    placeOf(places, place).samples.push({ ...common, version, instance });
    return;
  }
  const peer = span.kind === 'client' ? peerOf(span) : undefined;
  if (peer !== undefined) {
    // Nobody answered with a span: the time and the failure belong to whom the caller names.
    const place = { kind: 'edge-gap' as const, service: peer.name, operation, caller: origin.service, under };
    placeOf(places, place).samples.push({ ...common, version: undefined, instance: undefined });
    return;
  }
  const place = { kind: 'self-time' as const, service: origin.service, operation, caller: undefined, under };
  placeOf(places, place).samples.push({ ...common, version: origin.version, instance: origin.instance });
}

function placeOf(places: Map<string, Place>, place: Omit<Place, 'samples'>): Place {
  const key = JSON.stringify([place.kind, place.service, place.operation, place.caller]);
  let known = places.get(key);
  if (known === undefined) {
    known = { ...place, samples: [] };
    places.set(key, known);
  }
  return known;
}

function countOrigin(
  origins: Map<string, { version: Map<string, number>; instance: Map<string, number> }>,
  { service, version, instance }: Origin,
): void {
  let counts = origins.get(service);
  if (counts === undefined) {
    counts = { version: new Map(), instance: new Map() };
    origins.set(service, counts);
  }
  if (version !== undefined) counts.version.set(version, (counts.version.get(version) ?? 0) + 1);
  if (instance !== undefined) counts.instance.set(instance, (counts.instance.get(instance) ?? 0) + 1);
}

function countCalls(calls: Map<string, number>, runs: Map<string, number>, node: Node): void {
  const run = JSON.stringify([node.origin.service, node.operation]);
  runs.set(run, (runs.get(run) ?? 0) + 1);
  for (const child of node.children) {
    const key = JSON.stringify([node.origin.service, node.operation, child.origin.service, child.operation]);
    calls.set(key, (calls.get(key) ?? 0) + 1);
  }
}

/**
 * Milliseconds of a span outside of the union of its children; children may overlap and outlive it. Calls that run beside
 * the span explain its time too: in event-driven code the work that waits for a call is often not the call's parent.
 */
function exclusiveMs(node: Node): number {
  const { startMs, endMs, children, parent } = node;
  const siblings = parent === undefined || parent.children.length > maxSiblings ? [] : parent.children;
  const beside = siblings.filter((other) => other !== node && other.span.kind === 'client');
  const others = node.span.kind === 'client' ? [...children] : [...children, ...beside];
  if (others.length === 0) return endMs - startMs;
  const inOrder = others.sort((a, b) => a.startMs - b.startMs);
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
