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
  /** Finds any span by its id when a wait ends, where all of them are at hand. Default: the table remembers recent ones. */
  readonly spanById?: ((spanId: string) => SpanFacts | undefined) | undefined;
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

/** A called span whose caller is looked for above it. */
interface Waiting extends Pending {
  /** True when the caller's service is known, and only the client span between is missing. */
  readonly joined: boolean;
  /** Another one that waits for the same span. */
  readonly next: Waiting | undefined;
}

/** Spans that are climbed at most to find a caller: ids from outside may form a ring. */
const maxClimb = 64;

/**
 * Joins both sides of every call into edges between services, in one pass and bounded memory.
 *
 * A server span joins the client span above it, or the inner or server span of another service that called it without
 * a client span, in any order of arrival; inner spans between are passed over. A client that nobody answers within
 * `joinMs` becomes an edge to the peer that it names. Producers and consumers that name a broker have an edge to or from
 * the broker.
 */
export class EdgeTable {
  readonly #maxEdges: number;
  readonly #maxPending: number;
  readonly #joinMs: number;
  readonly #edges = new Map<string, Map<string, Edge[]>>();
  readonly #nodes = new Map<string, Node>();
  /** Callers that nobody answered yet, by span id. */
  readonly #callers = new Map<string, Pending>();
  readonly #spanById: ((spanId: string) => SpanFacts | undefined) | undefined;
  /** Other recent spans, which may stand above a called one, by span id. */
  readonly #recent = new Map<string, Pending>();
  #onlyService: string | undefined;
  #severalServices = false;
  /** Called spans by the id of the span above that is not known yet. */
  readonly #called = new Map<string, Waiting>();
  #waiting = 0;
  #lastNode: Node | undefined;
  #edgeCount = 0;
  #overflowed = 0;

  constructor(options: EdgeTableOptions = {}) {
    this.#maxEdges = options.maxEdges ?? 4_096;
    this.#maxPending = options.maxPending ?? 16_384;
    this.#joinMs = options.joinMs ?? 10_000;
    this.#spanById = options.spanById;
  }

  /** Calls that were counted under `(other)` because the table is full. */
  get overflowed(): number {
    return this.#overflowed;
  }

  /** Spans that wait for their other side. */
  get pending(): number {
    return this.#callers.size + this.#waiting;
  }

  /** Takes one span into account. `nowMs` is when it arrived, in the caller's monotonic time. */
  observe(facts: SpanFacts, nowMs: number): void {
    const { kind, origin, peer } = facts;
    if (kind === 'server' || kind === 'consumer') this.#count(facts);
    if (peer !== undefined && kind === 'producer') {
      this.#add(origin.service, peer.name, 'messaging', facts, undefined);
      return;
    }
    this.#relate(facts, nowMs);
  }

  /** Looks for the other side of a call, or waits for it. */
  #relate(facts: SpanFacts, nowMs: number): void {
    const { kind, origin, peer } = facts;
    if (kind === 'client' || kind === 'producer') this.#hold(this.#callers, facts, nowMs);
    else this.#remember(facts, nowMs);
    if (this.#called.size > 0) this.#resume(facts.spanId, nowMs);
    if (kind === 'server') this.#climb(facts, facts.parentSpanId, false, nowMs);
    else if (kind === 'consumer') {
      if (peer === undefined) this.#climb(facts, facts.parentSpanId, false, nowMs);
      else this.#add(peer.name, origin.service, 'messaging', undefined, facts);
    }
  }

  /** Ends the wait of spans that arrived more than `joinMs` before `nowMs`. */
  settle(nowMs: number): void {
    const before = nowMs - this.#joinMs;
    for (const [aboveId, waiting] of this.#called) {
      if (waiting.seenMs > before) break;
      this.#forget(aboveId, waiting);
      if (this.#spanById === undefined) continue;
      for (let last: Waiting | undefined = waiting; last !== undefined; last = last.next) {
        this.#climb(last.facts, aboveId, last.joined, undefined);
      }
    }
    for (const [spanId, pending] of this.#callers) {
      if (pending.seenMs > before) break;
      this.#callers.delete(spanId);
      this.#unanswered(pending.facts);
    }
    for (const [spanId, { seenMs }] of this.#recent) {
      if (seenMs > before) break;
      this.#recent.delete(spanId);
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
    const called: SpanFacts[] = [];
    for (const first of this.#called.values()) {
      for (let waiting: Waiting | undefined = first; waiting !== undefined; waiting = waiting.next) {
        // Of a joined one the call is counted already.
        if (!waiting.joined) called.push(waiting.facts);
      }
    }
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
    for (const { callers } of tables) for (const facts of callers) this.#relate(facts, nowMs);
    for (const { called } of tables) for (const facts of called) this.#relate(facts, nowMs);
  }

  /** Services that sent spans which became part of a call. */
  nodes(): IterableIterator<Node> {
    return this.#nodes.values();
  }

  /** Goes on with the spans that waited for this one. */
  #resume(spanId: string, nowMs: number): void {
    const first = this.#called.get(spanId);
    if (first === undefined) return;
    this.#forget(spanId, first);
    for (let waiting: Waiting | undefined = first; waiting !== undefined; waiting = waiting.next) {
      this.#climb(waiting.facts, spanId, waiting.joined, nowMs);
    }
  }

  /** Looks for the caller of a called span, from one of the spans above it upwards. Without `nowMs` it does not wait. */
  #climb(called: SpanFacts, from: string | undefined, joinedBelow: boolean, nowMs: number | undefined): void {
    let joined = joinedBelow;
    let aboveId = from;
    for (let steps = 0; aboveId !== undefined && steps < maxClimb; steps += 1) {
      const caller = this.#callers.get(aboveId);
      let above = (caller ?? this.#recent.get(aboveId))?.facts;
      if (above === undefined) {
        if (nowMs !== undefined) this.#wait(called, aboveId, joined, nowMs);
        above = nowMs === undefined ? this.#spanById?.(aboveId) : undefined;
        if (above === undefined) return;
      }
      if (caller !== undefined && above.kind === 'client') {
        this.#callers.delete(aboveId);
        // Another server may answer it, too.
        this.#remember(above, caller.seenMs);
      }
      if (above.kind === 'client' || above.kind === 'producer') {
        // What failed between a client and an inner span that called is not this call.
        if (!joined) this.#join(aboveId === called.parentSpanId ? above : undefined, called, above);
        return;
      }
      if (!joined && above.origin.service !== called.origin.service) {
        this.#join(undefined, called, above);
        joined = true;
      }
      if (above.kind !== 'internal') return;
      aboveId = above.parentSpanId;
    }
  }

  #wait(facts: SpanFacts, aboveId: string, joined: boolean, nowMs: number): void {
    if (this.#waiting >= this.#maxPending) {
      let left = Math.ceil(this.#maxPending / 8);
      for (const [id, oldest] of this.#called) {
        if (left <= 0) break;
        left -= this.#forget(id, oldest);
      }
    }
    this.#called.set(aboveId, { facts, seenMs: nowMs, joined, next: this.#called.get(aboveId) });
    this.#waiting += 1;
  }

  /** Ends the wait for one span, and says how many waited for it. */
  #forget(aboveId: string, first: Waiting): number {
    let count = 0;
    for (let waiting: Waiting | undefined = first; waiting !== undefined; waiting = waiting.next) count += 1;
    this.#called.delete(aboveId);
    this.#waiting -= count;
    return count;
  }

  /** Keeps a span for called ones that come later. Spans of one service alone have no caller of another one. */
  #remember(facts: SpanFacts, nowMs: number): void {
    if (this.#spanById !== undefined) return;
    if (!this.#severalServices) {
      const { service } = facts.origin;
      this.#onlyService ??= service;
      this.#severalServices = service !== this.#onlyService;
    }
    if (this.#severalServices) this.#hold(this.#recent, facts, nowMs);
  }

  #hold(map: Map<string, Pending>, facts: SpanFacts, nowMs: number): void {
    if (map.size >= this.#maxPending) this.#dropOldest(map);
    map.set(facts.spanId, { facts, seenMs: nowMs });
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

  /** Counts a call by the service of the span above; `caller` is the client span, if that is what called. */
  #join(caller: SpanFacts | undefined, called: SpanFacts, { origin }: SpanFacts): void {
    const connection = called.kind === 'consumer' ? 'messaging' : 'request';
    this.#node(origin.service);
    this.#add(origin.service, called.origin.service, connection, caller, called);
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
