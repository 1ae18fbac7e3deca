import { LatencySketch } from './latency-sketch.js';
import type { Connection, SpanFacts } from './span-facts.js';

/** Name under which everything beyond a limit is counted. */
export const other = '(other)';

/** Limits of an edge table. */
export interface EdgeTableOptions {
  /** Edges kept apart; further ones count as `(other)`. Default 4_096. */
  readonly maxEdges?: number | undefined;
  /** Spans that wait for their other side. Beyond, the oldest stops waiting. Default 16_384. */
  readonly maxPending?: number | undefined;
  /** Milliseconds that a span waits for its other side. Default 10_000. */
  readonly joinMs?: number | undefined;
}

/** What is known of the calls from one service to another. */
export interface Edge {
  readonly client: string;
  readonly server: string;
  readonly connection: Connection;
  calls: number;
  errors: number;
  /** Epoch milliseconds. */
  lastSeenMs: number;
  readonly clientMs: LatencySketch;
  readonly serverMs: LatencySketch;
}

/** What is known of one service from the spans that it sent. */
export interface Node {
  readonly service: string;
  calls: number;
  errors: number;
  readonly durationMs: LatencySketch;
}

/** What an edge table holds. */
export interface EdgeContents {
  readonly edges: readonly Edge[];
  readonly nodes: readonly Node[];
  /** Spans that wait for their other side. */
  readonly callers: readonly SpanFacts[];
  readonly called: readonly SpanFacts[];
}

interface Pending {
  readonly facts: SpanFacts;
  readonly seenMs: number;
}

/**
 * Joins both sides of every call into edges between services, in one pass and bounded memory.
 *
 * A server span joins the client span that is its parent, in either order of arrival. A client that nobody answers
 * within `joinMs` becomes an edge to the peer that it names. Producers and consumers that name a broker have an edge to
 * or from the broker.
 */
export class EdgeTable {
  readonly #maxEdges: number;
  readonly #maxPending: number;
  readonly #joinMs: number;
  readonly #edges = new Map<string, Map<string, Edge[]>>();
  readonly #nodes = new Map<string, Node>();
  /** Callers by span id. */
  readonly #callers = new Map<string, Pending>();
  /** Called spans by the id of their parent. */
  readonly #called = new Map<string, Pending>();
  #lastNode: Node | undefined;
  #edgeCount = 0;
  #overflowed = 0;

  constructor(options: EdgeTableOptions = {}) {
    this.#maxEdges = options.maxEdges ?? 4_096;
    this.#maxPending = options.maxPending ?? 16_384;
    this.#joinMs = options.joinMs ?? 10_000;
  }

  /** Calls that were counted under `(other)` because the table is full. */
  get overflowed(): number {
    return this.#overflowed;
  }

  /** Spans that wait for their other side. */
  get pending(): number {
    return this.#callers.size + this.#called.size;
  }

  /** Takes one span into account. `nowMs` is when it arrived, in the caller's monotonic time. */
  observe(facts: SpanFacts, nowMs: number): void {
    switch (facts.kind) {
      case 'client':
        this.#observeCaller(facts, nowMs);
        return;
      case 'server':
        this.#count(facts);
        this.#observeCalled(facts, nowMs);
        return;
      case 'producer':
        if (facts.peer === undefined) this.#observeCaller(facts, nowMs);
        else this.#add(facts.origin.service, facts.peer.name, 'messaging', facts, undefined);
        return;
      case 'consumer':
        this.#count(facts);
        if (facts.peer === undefined) this.#observeCalled(facts, nowMs);
        else this.#add(facts.peer.name, facts.origin.service, 'messaging', undefined, facts);
        return;
      default: {
        // An inner span can be the parent of a server span when the caller made no client span.
        if (this.#called.size === 0) return;
        const waiting = this.#called.get(facts.spanId);
        if (waiting === undefined) return;
        this.#called.delete(facts.spanId);
        if (waiting.facts.origin.service !== facts.origin.service) this.#join(undefined, waiting.facts, facts);
      }
    }
  }

  /** Ends the wait of spans that arrived more than `joinMs` before `nowMs`. */
  settle(nowMs: number): void {
    const before = nowMs - this.#joinMs;
    for (const [spanId, pending] of this.#callers) {
      if (pending.seenMs > before) break;
      this.#callers.delete(spanId);
      this.#unanswered(pending.facts);
    }
    for (const [parentId, pending] of this.#called) {
      if (pending.seenMs > before) break;
      this.#called.delete(parentId);
    }
  }

  /** All edges known now, those of callers that still wait included, as edges to the peer that they name. */
  edges(): Edge[] {
    const view = new Map<string, Edge>();
    const include = (edge: Edge): void => {
      const key = JSON.stringify([edge.client, edge.server, edge.connection]);
      const known = view.get(key);
      if (known === undefined) {
        view.set(key, { ...edge, clientMs: edge.clientMs.clone(), serverMs: edge.serverMs.clone() });
        return;
      }
      known.calls += edge.calls;
      known.errors += edge.errors;
      known.lastSeenMs = Math.max(known.lastSeenMs, edge.lastSeenMs);
      known.clientMs.merge(edge.clientMs);
      known.serverMs.merge(edge.serverMs);
    };
    for (const servers of this.#edges.values()) for (const edges of servers.values()) edges.forEach(include);
    for (const { facts } of this.#callers.values()) {
      if (facts.peer === undefined || facts.kind !== 'client') continue;
      const { name, connection } = facts.peer;
      const room = view.size < this.#maxEdges;
      const edge = emptyEdge(facts.origin.service, room ? name : other, connection);
      record(edge, facts, undefined);
      include(edge);
    }
    return [...view.values()];
  }

  /** All that is known, for a snapshot or for `absorb`; nothing of it may be changed. */
  contents(): EdgeContents {
    const callers = [...this.#callers.values()].map(({ facts }) => facts);
    const called = [...this.#called.values()].map(({ facts }) => facts);
    const edges = [...this.#edges.values()].flatMap((servers) => [...servers.values()].flat());
    return { edges, nodes: [...this.#nodes.values()], callers, called };
  }

  /** Adds what tables of other processes know. Calls whose two sides are in different tables are joined. */
  absorb(tables: readonly EdgeContents[], nowMs: number): void {
    for (const { edges, nodes } of tables) {
      for (const edge of edges) {
        const known = this.#edge(edge.client, edge.server, edge.connection);
        known.calls += edge.calls;
        known.errors += edge.errors;
        known.lastSeenMs = Math.max(known.lastSeenMs, edge.lastSeenMs);
        known.clientMs.merge(edge.clientMs);
        known.serverMs.merge(edge.serverMs);
      }
      for (const { service, calls, errors, durationMs } of nodes) {
        const node = this.#node(service);
        node.calls += calls;
        node.errors += errors;
        node.durationMs.merge(durationMs);
      }
    }
    for (const { callers } of tables) for (const facts of callers) this.#observeCaller(facts, nowMs);
    for (const { called } of tables) for (const facts of called) this.#observeCalled(facts, nowMs);
  }

  /** Services that sent spans which became part of a call. */
  nodes(): IterableIterator<Node> {
    return this.#nodes.values();
  }

  #observeCaller(facts: SpanFacts, nowMs: number): void {
    const waiting = this.#called.get(facts.spanId);
    if (waiting !== undefined) {
      this.#called.delete(facts.spanId);
      this.#join(facts, waiting.facts);
      if (facts.kind === 'client') return;
    }
    this.#hold(this.#callers, facts.spanId, facts, nowMs);
  }

  #observeCalled(facts: SpanFacts, nowMs: number): void {
    if (facts.parentSpanId === undefined) return;
    const caller = this.#callers.get(facts.parentSpanId);
    if (caller === undefined) {
      this.#hold(this.#called, facts.parentSpanId, facts, nowMs);
      return;
    }
    // One message may have several consumers; one request has one server.
    if (caller.facts.kind === 'client') this.#callers.delete(facts.parentSpanId);
    this.#join(caller.facts, facts);
  }

  #hold(map: Map<string, Pending>, key: string, facts: SpanFacts, nowMs: number): void {
    if (map.size >= this.#maxPending) this.#dropOldest(map);
    map.set(key, { facts, seenMs: nowMs });
  }

  /** Ends the wait of the oldest eighth at once: taking one at a time would skip over deleted entries each time. */
  #dropOldest(map: Map<string, Pending>): void {
    let left = Math.ceil(this.#maxPending / 8);
    for (const [key, { facts }] of map) {
      if (left === 0) return;
      left -= 1;
      map.delete(key);
      if (map === this.#callers) this.#unanswered(facts);
    }
  }

  #unanswered(facts: SpanFacts): void {
    if (facts.peer !== undefined && facts.kind === 'client') {
      this.#add(facts.origin.service, facts.peer.name, facts.peer.connection, facts, undefined);
    }
  }

  #join(caller: SpanFacts | undefined, called: SpanFacts, inner: SpanFacts | undefined = caller): void {
    if (inner === undefined) return;
    const connection = called.kind === 'consumer' ? 'messaging' : 'request';
    this.#node(inner.origin.service);
    this.#add(inner.origin.service, called.origin.service, connection, caller, called);
  }

  #add(client: string, server: string, connection: Connection, caller?: SpanFacts, called?: SpanFacts): void {
    record(this.#edge(client, server, connection), caller, called);
  }

  #edge(client: string, server: string, connection: Connection): Edge {
    const known = this.#edges
      .get(client)
      ?.get(server)
      ?.find((edge) => edge.connection === connection);
    if (known !== undefined) return known;
    const full = this.#edgeCount >= this.#maxEdges;
    if (full) {
      this.#overflowed += 1;
      if (client !== other || server !== other) return this.#edge(other, other, connection);
    }
    const edge = emptyEdge(client, server, connection);
    let servers = this.#edges.get(client);
    if (servers === undefined) {
      servers = new Map();
      this.#edges.set(client, servers);
    }
    const edges = servers.get(server);
    if (edges === undefined) servers.set(server, [edge]);
    else edges.push(edge);
    this.#edgeCount += 1;
    return edge;
  }

  #count(facts: SpanFacts): void {
    const node = this.#node(facts.origin.service);
    const count = facts.count ?? 1;
    node.calls += count;
    if (facts.error) node.errors += count;
    node.durationMs.add(facts.durationMs, count);
  }

  #node(name: string): Node {
    if (this.#lastNode?.service === name) return this.#lastNode;
    let node = this.#nodes.get(name);
    if (node === undefined) {
      const service = this.#nodes.size < this.#maxEdges ? name : other;
      node = this.#nodes.get(service) ?? { service, calls: 0, errors: 0, durationMs: new LatencySketch() };
      this.#nodes.set(service, node);
    }
    this.#lastNode = node;
    return node;
  }
}

function emptyEdge(client: string, server: string, connection: Connection): Edge {
  return {
    client,
    server,
    connection,
    calls: 0,
    errors: 0,
    lastSeenMs: 0,
    clientMs: new LatencySketch(),
    serverMs: new LatencySketch(),
  };
}

/** Counts one call; it failed when either side says so. The side that was kept more rarely says how many it stands for. */
function record(edge: Edge, caller: SpanFacts | undefined, called: SpanFacts | undefined): void {
  const count = Math.max(caller?.count ?? 1, called?.count ?? 1);
  edge.calls += count;
  if (caller?.error === true || called?.error === true) edge.errors += count;
  edge.lastSeenMs = Math.max(edge.lastSeenMs, caller?.endMs ?? 0, called?.endMs ?? 0);
  if (caller !== undefined) edge.clientMs.add(caller.durationMs, count);
  if (called !== undefined) edge.serverMs.add(called.durationMs, count);
}
