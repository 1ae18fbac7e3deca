import type { Span } from '@mnops/core/spi';
import { EdgeTable } from './edge-table.js';
import type { LatencySketch } from './latency-sketch.js';
import type { Connection } from './span-facts.js';
import { SpanIndex } from './span-index.js';
import { SpanReader } from './span-reader.js';

/** Latencies in milliseconds; a quantile is `undefined` when too few values support it (below 1/(1-q)). */
export interface Quantiles {
  readonly p50: number | undefined;
  readonly p95: number | undefined;
  readonly p99: number | undefined;
}

/** One service of the map. */
export interface ServiceNode {
  readonly service: string;
  /** True when the service sent no spans itself: a database, a broker, a foreign API. */
  readonly virtual: boolean;
  /** Requests and messages that the service handled; of a virtual one, the calls made to it. */
  readonly calls: number;
  /** Those of them that failed. */
  readonly errors: number;
  readonly durationMs: Quantiles;
}

/** Calls from one service to another. */
export interface ServiceDependency {
  readonly client: string;
  readonly server: string;
  readonly connection: Connection;
  /** True when one of the two sent no spans itself. */
  readonly virtual: boolean;
  readonly calls: number;
  /** Calls that failed on either side. */
  readonly errors: number;
  readonly lastSeenAt: Date;
  /** As the caller and as the called service measured it; absent where that side sent no spans. */
  readonly durationMs: { readonly client?: Quantiles | undefined; readonly server?: Quantiles | undefined };
}

/** Who calls whom. */
export interface ServiceMap {
  /** Sorted by name. */
  readonly services: readonly ServiceNode[];
  /** Most calls first. */
  readonly dependencies: readonly ServiceDependency[];
}

/** The service map of some spans, of any number of processes, in any order. */
export function buildServiceMap(spans: Iterable<Span>): ServiceMap {
  const given = Array.isArray(spans) ? (spans as readonly Span[]) : [...spans];
  let index: SpanIndex | undefined;
  const lent = new SpanReader();
  const table = new EdgeTable({
    maxPending: Number.POSITIVE_INFINITY,
    spanByKey: (high, low) => {
      // Most maps have no span left whose caller must be searched for.
      index ??= new SpanIndex(given);
      const span = index.find(high, low);
      return span === undefined ? undefined : lent.at(span);
    },
  });
  const reader = new SpanReader();
  for (const span of given) table.observe(reader.at(span), 0);
  table.settle(Number.POSITIVE_INFINITY);
  return serviceMapOf(table);
}

/** The map that an edge table stands for now. */
export function serviceMapOf(table: EdgeTable): ServiceMap {
  const services = new Map<string, ServiceNode>();
  for (const { service, calls, errors, durationMs } of table.nodes()) {
    services.set(service, { service, virtual: false, calls, errors, durationMs: quantilesOf(durationMs) });
  }
  const edges = table.edges();
  // A service that calls others but serves nothing itself still sent spans.
  for (const { client, clientMs } of edges) {
    if (clientMs.count > 0 && !services.has(client)) services.set(client, nodeWithoutCalls(client, false));
  }
  for (const { client } of edges) if (!services.has(client)) services.set(client, nodeWithoutCalls(client, true));
  for (const { server, calls, errors, clientMs } of edges) {
    const known = services.get(server);
    if (known !== undefined && !known.virtual) continue;
    services.set(server, {
      service: server,
      virtual: true,
      calls: (known?.calls ?? 0) + calls,
      errors: (known?.errors ?? 0) + errors,
      durationMs: quantilesOf(clientMs),
    });
  }
  const dependencies = edges.map(
    (edge): ServiceDependency => ({
      client: edge.client,
      server: edge.server,
      connection: edge.connection,
      virtual: services.get(edge.server)?.virtual === true || services.get(edge.client)?.virtual === true,
      calls: edge.calls,
      errors: edge.errors,
      lastSeenAt: new Date(edge.lastSeenMs),
      durationMs: {
        ...(edge.clientMs.count > 0 ? { client: quantilesOf(edge.clientMs) } : {}),
        ...(edge.serverMs.count > 0 ? { server: quantilesOf(edge.serverMs) } : {}),
      },
    }),
  );
  return {
    services: [...services.values()].sort((a, b) => (a.service < b.service ? -1 : 1)),
    dependencies: dependencies.sort((a, b) => b.calls - a.calls || (a.client < b.client ? -1 : 1)),
  };
}

/** P50, P95 and P99 of a sketch, each only where enough values support it. */
export function quantilesOf(sketch: LatencySketch): Quantiles {
  return {
    p50: sketch.supportedQuantile(0.5),
    p95: sketch.supportedQuantile(0.95),
    p99: sketch.supportedQuantile(0.99),
  };
}

function nodeWithoutCalls(service: string, virtual: boolean): ServiceNode {
  return {
    service,
    virtual,
    calls: 0,
    errors: 0,
    durationMs: { p50: undefined, p95: undefined, p99: undefined },
  };
}
