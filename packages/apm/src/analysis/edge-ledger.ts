import { LatencySketch } from './latency-sketch.js';
import type { Connection } from './span-facts.js';

/** Name under which everything beyond a limit is counted. */
export const other = '(other)';

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

/** Figures of edges and services, bounded: what is beyond the limit counts as `(other)`. */
export class EdgeLedger {
  readonly #maxEdges: number;
  readonly #edges = new Map<string, Map<string, Edge[]>>();
  readonly #nodes = new Map<string, Node>();
  #lastNode: Node | undefined;
  #edgeCount = 0;
  #overflowed = 0;

  constructor(maxEdges: number) {
    this.#maxEdges = maxEdges;
  }

  /** Times that an edge was asked for and had no room. */
  get overflowed(): number {
    return this.#overflowed;
  }

  /** All edges; nothing of them may be changed. */
  edges(): Edge[] {
    return [...this.#edges.values()].flatMap((servers) => [...servers.values()].flat());
  }

  nodes(): IterableIterator<Node> {
    return this.#nodes.values();
  }

  /** The edge between two services, or the one that stands for all without room. */
  edge(client: string, server: string, connection: Connection): Edge {
    const edges = this.#edges.get(client)?.get(server);
    if (edges !== undefined) for (const edge of edges) if (edge.connection === connection) return edge;
    // The edges that stand for all without room are beyond the limit, one of each connection.
    if (this.#edgeCount >= this.#maxEdges && (client !== other || server !== other)) {
      this.#overflowed += 1;
      return this.edge(other, other, connection);
    }
    const edge = emptyEdge(client, server, connection);
    let servers = this.#edges.get(client);
    if (servers === undefined) {
      servers = new Map();
      this.#edges.set(client, servers);
    }
    if (edges === undefined) servers.set(server, [edge]);
    else edges.push(edge);
    this.#edgeCount += 1;
    return edge;
  }

  /** The service of that name, or the one that stands for all without room. */
  node(name: string): Node {
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

  /** Adds what another ledger knows. */
  absorb(edges: readonly Edge[], nodes: readonly Node[]): void {
    for (const edge of edges) addEdge(this.edge(edge.client, edge.server, edge.connection), edge);
    for (const { service, calls, errors, durationMs } of nodes) {
      const node = this.node(service);
      node.calls += calls;
      node.errors += errors;
      node.durationMs.merge(durationMs);
    }
  }
}

/** An edge without calls. */
export function emptyEdge(client: string, server: string, connection: Connection): Edge {
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

/** Adds the calls of one edge to another. */
export function addEdge(to: Edge, from: Edge): void {
  to.calls += from.calls;
  to.errors += from.errors;
  to.lastSeenMs = Math.max(to.lastSeenMs, from.lastSeenMs);
  to.clientMs.merge(from.clientMs);
  to.serverMs.merge(from.serverMs);
}
