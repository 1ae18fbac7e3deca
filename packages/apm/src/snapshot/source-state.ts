import type { Edge, EdgeContents, Node } from '../analysis/edge-table.js';
import { HourlyStats, type Stretch } from '../analysis/hourly-stats.js';
import type { KnownOperation } from '../analysis/operation-table.js';
import type { Connection, SpanFacts } from '../analysis/span-facts.js';
import { operationKinds, spanKinds } from '../span-kinds.js';
import type { EdgeState, HalfState, NodeState, OperationState, SourceState } from './apm-snapshot.js';
import { choiceAt, flagAt, has, innerAt, invalid, listAt, numberAt, recordAt, textAt, textsAt } from './fields.js';
import { cellState, readCell, readSketch, readStats, statsState } from './stats-state.js';

/** What one process learned, ready to be counted in. */
export interface Source {
  readonly id: string;
  readonly sequence: number;
  readonly atMs: number;
  readonly operations: readonly KnownOperation[];
  readonly map: EdgeContents;
  /** Estimated bytes in memory. */
  readonly bytes: number;
}

type Fields = Readonly<Record<string, unknown>>;

const connections: readonly Connection[] = ['request', 'messaging', 'database'];
const levels = ['hour-of-week', 'hour-of-day', 'all'] as const;
const maxEntries = 100_000;
const maxHalves = 2_000;

export function sourceState(source: Omit<Source, 'bytes'>): SourceState {
  const { edges, nodes, callers, called } = source.map;
  return {
    id: source.id,
    sequence: source.sequence,
    atMs: source.atMs,
    operations: source.operations.map(operationState),
    edges: edges.map(edgeState),
    nodes: nodes.map(nodeState),
    waiting: { callers: callers.slice(-maxHalves).map(halfState), called: called.slice(-maxHalves).map(halfState) },
  };
}

/**
 * @param maxBytes - Largest estimated size in memory.
 * @throws {MnopsError} `MNOPS_APM_SNAPSHOT_INVALID` with the field that is wrong.
 */
export function readSource(value: unknown, field: string, maxBytes: number): Source {
  const from = recordAt(value, field);
  const id = textAt(from, 'id', field);
  if (!/^[0-9a-z-]{1,64}$/.test(id)) throw invalid(`${field}.id`, 'an id of at most 64 lower-case letters and digits');
  const [sequence, atMs] = [numberAt(from, 'sequence', field), numberAt(from, 'atMs', field)];
  let bytes = 0;
  const count = (more: number): void => {
    bytes += more;
    if (bytes > maxBytes) throw invalid(field, `a source of at most ${maxBytes} bytes`);
  };
  const each = <T>(
    key: string,
    within: Fields,
    at: string,
    max: number,
    read: (fields: Fields, at: string) => T,
  ): T[] =>
    listAt(within, key, at, max).map((entry, index) =>
      read(recordAt(entry, `${at}.${key}[${index}]`), `${at}.${key}[${index}]`),
    );
  const operations = each('operations', from, field, maxEntries, (fields, at) => {
    const operation = readOperation(fields, at, atMs);
    const { all, hours, stretches } = operation.figures;
    count(
      500 + all.durationMs.bytes + hours.bytes + stretches.reduce((sum, { stats }) => sum + stats.durationMs.bytes, 0),
    );
    return operation;
  });
  const edges = each('edges', from, field, maxEntries, (fields, at) => {
    const edge = readEdge(fields, at);
    count(500 + edge.clientMs.bytes + edge.serverMs.bytes);
    return edge;
  });
  const nodes = each('nodes', from, field, maxEntries, (fields, at) => {
    const node = readNode(fields, at);
    count(300 + node.durationMs.bytes);
    return node;
  });
  const waiting = innerAt(from, 'waiting', field);
  const callers = each('callers', waiting, `${field}.waiting`, maxHalves, readHalf);
  const called = each('called', waiting, `${field}.waiting`, maxHalves, readHalf);
  count(400 * (callers.length + called.length));
  return { id, sequence, atMs, operations, map: { edges, nodes, callers, called }, bytes };
}

/** One operation as it is written into snapshots and files. */
export function operationState({ service, operation, kind, labels, figures }: KnownOperation): OperationState {
  const { all, hours, stretches, firstMs, lastMs } = figures;
  return {
    service,
    operation,
    kind,
    ...(labels === undefined ? {} : { labels }),
    firstMs,
    lastMs,
    level: hours.level,
    all: statsState(all),
    weekly: hours.weekly.flatMap((cell, hour) => (cell === undefined ? [] : [cellState(hour, cell)])),
    daily: hours.daily.flatMap((cell, hour) => (cell === undefined ? [] : [cellState(hour, cell)])),
    stretches: stretches.map(({ fromMs, toMs, stats }) => ({ fromMs, toMs, stats: statsState(stats) })),
  };
}

/** @throws {MnopsError} `MNOPS_APM_SNAPSHOT_INVALID` with the field that is wrong. */
export function readOperation(from: Fields, field: string, atMs: number): KnownOperation {
  const hours = new HourlyStats();
  hours.level = choiceAt(from, 'level', field, levels);
  for (const [key, bucket, count] of [
    ['weekly', 'hour-of-week', 168],
    ['daily', 'hour-of-day', 24],
  ] as const) {
    listAt(from, key, field, count).forEach((entry, index) => {
      const at = `${field}.${key}[${index}]`;
      const { hour, cell } = readCell(recordAt(entry, at), at, count, atMs);
      hours.restore(bucket, hour, cell);
    });
  }
  const stretches = listAt(from, 'stretches', field, 10_000).map((entry, index): Stretch => {
    const at = `${field}.stretches[${index}]`;
    const fields = recordAt(entry, at);
    const stats = readStats(innerAt(fields, 'stats', at), `${at}.stats`);
    return { fromMs: numberAt(fields, 'fromMs', at), toMs: numberAt(fields, 'toMs', at), stats };
  });
  return {
    service: textAt(from, 'service', field),
    operation: textAt(from, 'operation', field),
    kind: choiceAt(from, 'kind', field, operationKinds),
    labels: has(from, 'labels') ? textsAt(from, 'labels', field) : undefined,
    figures: {
      all: readStats(innerAt(from, 'all', field), `${field}.all`),
      hours,
      stretches,
      firstMs: numberAt(from, 'firstMs', field),
      lastMs: numberAt(from, 'lastMs', field),
    },
  };
}

export function edgeState({ clientMs, serverMs, ...edge }: Edge): EdgeState {
  return { ...edge, clientMs: clientMs.toJSON(), serverMs: serverMs.toJSON() };
}

/** @throws {MnopsError} `MNOPS_APM_SNAPSHOT_INVALID` with the field that is wrong. */
export function readEdge(from: Fields, field: string): Edge {
  return {
    client: textAt(from, 'client', field),
    server: textAt(from, 'server', field),
    connection: choiceAt(from, 'connection', field, connections),
    calls: numberAt(from, 'calls', field),
    errors: numberAt(from, 'errors', field),
    lastSeenMs: numberAt(from, 'lastSeenMs', field),
    clientMs: readSketch(innerAt(from, 'clientMs', field), `${field}.clientMs`),
    serverMs: readSketch(innerAt(from, 'serverMs', field), `${field}.serverMs`),
  };
}

export function nodeState({ durationMs, ...node }: Node): NodeState {
  return { ...node, durationMs: durationMs.toJSON() };
}

/** @throws {MnopsError} `MNOPS_APM_SNAPSHOT_INVALID` with the field that is wrong. */
export function readNode(from: Fields, field: string): Node {
  return {
    service: textAt(from, 'service', field),
    calls: numberAt(from, 'calls', field),
    errors: numberAt(from, 'errors', field),
    durationMs: readSketch(innerAt(from, 'durationMs', field), `${field}.durationMs`),
  };
}

function halfState(facts: SpanFacts): HalfState {
  const { spanId, parentSpanId, origin, kind, endMs, durationMs, error, count = 1, peer } = facts;
  return {
    spanId,
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    service: origin.service,
    kind,
    endMs,
    durationMs,
    error,
    ...(count === 1 ? {} : { count }),
    ...(peer === undefined ? {} : { peer }),
  };
}

function readHalf(from: Fields, field: string): SpanFacts {
  const peer = has(from, 'peer') ? innerAt(from, 'peer', field) : undefined;
  return {
    traceId: '',
    spanId: textAt(from, 'spanId', field),
    parentSpanId: has(from, 'parentSpanId') ? textAt(from, 'parentSpanId', field) : undefined,
    origin: { service: textAt(from, 'service', field), version: undefined, instance: undefined },
    operation: '',
    kind: choiceAt(from, 'kind', field, spanKinds),
    endMs: numberAt(from, 'endMs', field),
    durationMs: numberAt(from, 'durationMs', field),
    error: flagAt(from, 'error', field),
    ...(has(from, 'count') ? { count: numberAt(from, 'count', field) } : {}),
    peer:
      peer === undefined
        ? undefined
        : {
            name: textAt(peer, 'name', `${field}.peer`),
            connection: choiceAt(peer, 'connection', `${field}.peer`, connections),
          },
  };
}
