import { type CallFacts, CallRows, column, fraction, noRow } from './call-rows.js';
import { addEdge, type Edge, EdgeLedger, emptyEdge, type Node, other } from './edge-ledger.js';
import { RowIndex } from './row-index.js';
import type { Connection, SpanFacts } from './span-facts.js';
import { readSpanKey } from './span-key.js';

export { type Edge, type Node, other } from './edge-ledger.js';

/** Limits of an edge table. */
export interface EdgeTableOptions {
  /** Edges kept apart; further ones count as `(other)`. Default 4_096. */
  readonly maxEdges?: number | undefined;
  /** Spans that wait for their other side. Beyond, the oldest stops waiting. Default 16_384. */
  readonly maxPending?: number | undefined;
  /** Milliseconds that a span waits for its other side. Default 10_000. */
  readonly joinMs?: number | undefined;
  /**
   * Finds any span by the halves of its id when a wait ends, where all of them are at hand. Default: the table remembers
   * recent ones.
   */
  readonly spanByKey?: ((high: number, low: number) => CallFacts | undefined) | undefined;
}

/** What an edge table holds. */
export interface EdgeContents {
  readonly edges: readonly Edge[];
  readonly nodes: readonly Node[];
  /** Spans that wait for their other side. */
  readonly callers: readonly SpanFacts[];
  readonly called: readonly SpanFacts[];
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
  readonly #ledger: EdgeLedger;
  readonly #rows = new CallRows();
  /** Callers that nobody answered yet, by their ids. */
  readonly #callers: RowIndex;
  readonly #spanByKey: EdgeTableOptions['spanByKey'];
  /** Other recent spans, which may stand above a called one, by their ids. */
  readonly #recent: RowIndex;
  /** Called spans whose caller is looked for above them, by the id of the span above that is not known yet. */
  readonly #called: RowIndex;
  readonly #key = new Int32Array(2);
  readonly #resumed: number[] = [];
  #onlyService: string | undefined;
  #severalServices = false;

  constructor(options: EdgeTableOptions = {}) {
    this.#maxEdges = options.maxEdges ?? 4_096;
    this.#maxPending = options.maxPending ?? 16_384;
    this.#joinMs = options.joinMs ?? 10_000;
    this.#spanByKey = options.spanByKey;
    this.#ledger = new EdgeLedger(this.#maxEdges);
    // A row is a caller or a recent span, so these two share their places.
    const byId = { key: column.id, links: column.byId, since: fraction.heldMs };
    this.#callers = new RowIndex(this.#rows, byId);
    this.#recent = new RowIndex(this.#rows, byId);
    const byAbove = { key: column.above, links: column.byAbove, since: fraction.waitingMs };
    this.#called = new RowIndex(this.#rows, byAbove);
  }

  /** Calls that were counted under `(other)` because the table is full. */
  get overflowed(): number {
    return this.#ledger.overflowed;
  }

  /** Spans that wait for their other side. */
  get pending(): number {
    return this.#callers.size + this.#called.size;
  }

  /** Takes one span into account. `nowMs` is when it arrived, in the caller's monotonic time. */
  observe(facts: CallFacts, nowMs: number): void {
    const { kind } = facts;
    if (kind === 'server' || kind === 'consumer') this.#count(facts);
    if (kind === 'producer' && facts.peer !== undefined) {
      const row = this.#rows.take(facts, false);
      this.#add(facts.origin.service, facts.peer.name, 'messaging', row, noRow);
      this.#rows.finish(row);
      return;
    }
    this.#relate(facts, nowMs);
  }

  /** Looks for the other side of a call, or waits for it. */
  #relate(facts: CallFacts, nowMs: number): void {
    const { kind, parentSpanId, origin } = facts;
    const isCaller = kind === 'client' || kind === 'producer';
    const isHeld = isCaller || this.#remembers(origin.service);
    const broker = kind === 'consumer' ? facts.peer : undefined;
    const isCalled = (kind === 'server' || kind === 'consumer') && broker === undefined && parentSpanId !== undefined;
    if (!isHeld && !isCalled && broker === undefined) {
      // Of most spans of a single service nothing more has to be known.
      if (this.#called.size === 0) return;
      readSpanKey(facts.spanId, this.#key);
      this.#resume(this.#key[0] as number, this.#key[1] as number, nowMs);
      return;
    }
    const rows = this.#rows;
    // Where all spans are at hand, nobody asks for the ids of those that wait.
    const needsId = isHeld || this.#spanByKey === undefined || this.#called.size > 0;
    const row = rows.take(facts, needsId);
    if (isHeld) this.#hold(isCaller ? this.#callers : this.#recent, row, nowMs);
    if (needsId) this.#resume(rows.number(row, column.id), rows.number(row, column.id + 1), nowMs);
    if (isCalled) {
      this.#climb(row, rows.number(row, column.parent), rows.number(row, column.parent + 1), false, nowMs);
    } else if (broker !== undefined) this.#add(broker.name, origin.service, 'messaging', noRow, row);
    rows.finish(row);
  }

  /** Ends the wait of spans that arrived more than `joinMs` before `nowMs`. */
  settle(nowMs: number): void {
    const before = nowMs - this.#joinMs;
    const rows = this.#rows;
    for (let row = this.#called.oldest; row !== noRow; row = this.#called.oldest) {
      if (this.#called.since(row) > before) break;
      this.#stopWaiting(row);
      if (this.#spanByKey !== undefined) {
        const high = rows.number(row, column.above);
        const low = rows.number(row, column.above + 1);
        this.#climb(row, high, low, rows.isJoined(row), undefined);
      }
      rows.finish(row);
    }
    for (let row = this.#callers.oldest; row !== noRow; row = this.#callers.oldest) {
      if (this.#callers.since(row) > before) break;
      this.#unanswered(row);
      this.#drop(this.#callers, row);
    }
    for (let row = this.#recent.oldest; row !== noRow; row = this.#recent.oldest) {
      if (this.#recent.since(row) > before) break;
      this.#drop(this.#recent, row);
    }
  }

  /** All edges known now, those of callers that still wait included, as edges to the peer that they name. */
  edges(): Edge[] {
    const view = new Map<string, Edge>();
    const include = (edge: Edge): void => {
      const key = JSON.stringify([edge.client, edge.server, edge.connection]);
      const known = view.get(key);
      if (known !== undefined) addEdge(known, edge);
      else view.set(key, { ...edge, clientMs: edge.clientMs.clone(), serverMs: edge.serverMs.clone() });
    };
    this.#ledger.edges().forEach(include);
    const rows = this.#rows;
    for (let row = this.#callers.oldest; row !== noRow; row = this.#callers.after(row)) {
      const peer = rows.peer(row);
      if (peer === undefined || rows.kind(row) !== 'client') continue;
      const room = view.size < this.#maxEdges;
      const edge = emptyEdge(rows.service(row), room ? peer.name : other, peer.connection);
      this.#record(edge, row, noRow);
      include(edge);
    }
    return [...view.values()];
  }

  /** All that is known, for a snapshot or for `absorb`; nothing of it may be changed. */
  contents(): EdgeContents {
    const rows = this.#rows;
    const callers: SpanFacts[] = [];
    const called: SpanFacts[] = [];
    for (let row = this.#callers.oldest; row !== noRow; row = this.#callers.after(row)) callers.push(rows.facts(row));
    for (let row = this.#called.oldest; row !== noRow; row = this.#called.after(row)) {
      // Of a joined one the call is counted already.
      if (!rows.isJoined(row)) called.push(rows.facts(row));
    }
    return { edges: this.#ledger.edges(), nodes: [...this.#ledger.nodes()], callers, called };
  }

  /** Adds what tables of other processes know. Calls whose two sides are in different tables are joined. */
  absorb(tables: readonly EdgeContents[], nowMs: number): void {
    for (const { edges, nodes } of tables) this.#ledger.absorb(edges, nodes);
    for (const { callers } of tables) for (const facts of callers) this.#relate(facts, nowMs);
    for (const { called } of tables) for (const facts of called) this.#relate(facts, nowMs);
  }

  /** Services that sent spans which became part of a call. */
  nodes(): IterableIterator<Node> {
    return this.#ledger.nodes();
  }

  /** Goes on with the spans that waited for this one. */
  #resume(high: number, low: number, nowMs: number): void {
    if (this.#called.size === 0) return;
    let row = this.#called.find(high, low);
    if (row === noRow) return;
    // All of them first: one may begin to wait for the same span again.
    const resumed = this.#resumed;
    for (; row !== noRow; row = this.#called.find(high, low)) {
      this.#stopWaiting(row);
      resumed.push(row);
    }
    for (const waited of resumed) {
      this.#climb(waited, high, low, this.#rows.isJoined(waited), nowMs);
      this.#rows.finish(waited);
    }
    resumed.length = 0;
  }

  /**
   * Looks for the caller of a called span, from the span of this id upwards.
   *
   * @param joinedBelow - Whether the call is counted already.
   * @param nowMs - Without it, it does not wait.
   */
  #climb(called: number, fromHigh: number, fromLow: number, joinedBelow: boolean, nowMs: number | undefined): void {
    const rows = this.#rows;
    let joined = joinedBelow;
    let high = fromHigh;
    let low = fromLow;
    for (let steps = 0; steps < maxClimb; steps += 1) {
      const caller = this.#callers.find(high, low);
      let above = caller === noRow ? this.#recent.find(high, low) : caller;
      const isLent = above === noRow;
      if (isLent) {
        const facts = nowMs === undefined ? this.#spanByKey?.(high, low) : undefined;
        if (nowMs !== undefined) this.#wait(called, high, low, joined, nowMs);
        if (facts === undefined) return;
        above = rows.take(facts, false);
      }
      const kind = rows.kind(above);
      const isCaller = kind === 'client' || kind === 'producer';
      // What failed between a client and an inner span that called is not this call.
      if (!joined && (isCaller || rows.service(above) !== rows.service(called))) {
        this.#join(isCaller && rows.isParent(called, high, low) ? above : noRow, called, above);
        joined = true;
      }
      const isEnd = kind !== 'internal' || !rows.hasParent(above);
      high = rows.number(above, column.parent);
      low = rows.number(above, column.parent + 1);
      if (isLent) rows.finish(above);
      else if (caller !== noRow && kind === 'client') this.#answered(caller);
      if (isEnd) return;
    }
  }

  /** Another server may answer the same client, too. */
  #answered(row: number): void {
    const sinceMs = this.#callers.since(row);
    this.#callers.remove(row);
    if (this.#remembers(this.#rows.service(row))) {
      this.#hold(this.#recent, row, sinceMs);
      return;
    }
    this.#rows.setHeld(row, false);
    this.#rows.release(row);
  }

  #wait(row: number, high: number, low: number, joined: boolean, nowMs: number): void {
    if (this.#called.size >= this.#maxPending) {
      for (let left = Math.ceil(this.#maxPending / 8); left > 0 && this.#called.size > 0; left -= 1) {
        const oldest = this.#called.oldest;
        this.#stopWaiting(oldest);
        this.#rows.finish(oldest);
      }
    }
    this.#rows.setWaiting(row, high, low, joined);
    this.#called.add(row, nowMs);
  }

  #stopWaiting(row: number): void {
    this.#called.remove(row);
    this.#rows.stopWaiting(row);
  }

  /** Whether a span is kept for called ones that come later. Spans of one service alone have no caller of another one. */
  #remembers(service: string): boolean {
    if (this.#spanByKey !== undefined) return false;
    if (!this.#severalServices) {
      this.#onlyService ??= service;
      this.#severalServices = service !== this.#onlyService;
    }
    return this.#severalServices;
  }

  #hold(index: RowIndex, row: number, nowMs: number): void {
    const rows = this.#rows;
    if (index.size >= this.#maxPending) this.#dropOldest(index);
    const same = index.find(rows.number(row, column.id), rows.number(row, column.id + 1));
    if (same !== noRow) this.#drop(index, same);
    rows.setHeld(row, true);
    index.add(row, nowMs);
  }

  /** Ends the wait of the oldest eighth at once. */
  #dropOldest(index: RowIndex): void {
    for (let left = Math.ceil(this.#maxPending / 8); left > 0 && index.size > 0; left -= 1) {
      if (index === this.#callers) this.#unanswered(index.oldest);
      this.#drop(index, index.oldest);
    }
  }

  #drop(index: RowIndex, row: number): void {
    index.remove(row);
    this.#rows.setHeld(row, false);
    this.#rows.release(row);
  }

  #unanswered(row: number): void {
    if (this.#rows.kind(row) !== 'client') return;
    const peer = this.#rows.peer(row);
    if (peer !== undefined) this.#add(this.#rows.service(row), peer.name, peer.connection, row, noRow);
  }

  /** Counts a call by the service of the span above; `caller` is the client span, if that is what called. */
  #join(caller: number, called: number, above: number): void {
    const rows = this.#rows;
    const service = rows.service(above);
    const connection = rows.kind(called) === 'consumer' ? 'messaging' : 'request';
    this.#ledger.node(service);
    this.#add(service, rows.service(called), connection, caller, called);
  }

  #add(client: string, server: string, connection: Connection, caller: number, called: number): void {
    this.#record(this.#ledger.edge(client, server, connection), caller, called);
  }

  /** Counts one call; it failed when either side says so. The side that was kept more rarely says how many it stands for. */
  #record(edge: Edge, caller: number, called: number): void {
    const rows = this.#rows;
    const count = Math.max(caller === noRow ? 1 : rows.count(caller), called === noRow ? 1 : rows.count(called));
    edge.calls += count;
    if ((caller !== noRow && rows.failed(caller)) || (called !== noRow && rows.failed(called))) edge.errors += count;
    if (caller !== noRow) {
      edge.lastSeenMs = Math.max(edge.lastSeenMs, rows.endMs(caller));
      edge.clientMs.add(rows.durationMs(caller), count);
    }
    if (called !== noRow) {
      edge.lastSeenMs = Math.max(edge.lastSeenMs, rows.endMs(called));
      edge.serverMs.add(rows.durationMs(called), count);
    }
  }

  #count(facts: CallFacts): void {
    const node = this.#ledger.node(facts.origin.service);
    const count = facts.count ?? 1;
    node.calls += count;
    if (facts.error) node.errors += count;
    node.durationMs.add(facts.durationMs, count);
  }
}
