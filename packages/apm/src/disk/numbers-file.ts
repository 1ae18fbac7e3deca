import { stat } from 'node:fs/promises';
import { openRecordLog } from '@mnops/core/files';
import type { StorageDamage } from '@mnops/core/spi';
import type { Edge, Node } from '../analysis/edge-table.js';
import { LatencySketch } from '../analysis/latency-sketch.js';
import type { KnownOperation } from '../analysis/operation-table.js';
import { has, innerAt, invalid, numberAt, recordAt } from '../snapshot/fields.js';
import {
  edgeState,
  nodeState,
  operationState,
  readEdge,
  readNode,
  readOperation,
  type Source,
} from '../snapshot/source-state.js';
import { badRecord, ProcessFiles } from './process-files.js';

const format = { magic: 'MNAPMNUM', version: 1 } as const;

/** The numbers of each process, by its id. */
export const numbersFiles: ProcessFiles = new ProcessFiles({ ending: '.num', ...format });

/** What was read of one file of numbers. */
export interface ReadNumbers {
  readonly source: Source;
  readonly damage: readonly StorageDamage[];
}

/** Replaces the numbers of one process in one step. */
export async function writeNumbers(folder: string, source: Omit<Source, 'bytes'>): Promise<void> {
  // Now, not while it is written: figures go on, and what moves from one of them to another would count twice.
  await numbersFiles.replace(folder, source.id, [...recordsOf(source)]);
}

function* recordsOf({ id, sequence, atMs, operations, map }: Omit<Source, 'bytes'>): Iterable<Buffer> {
  const record = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
  yield record({ source: { id, sequence, atMs, bucketsPerOctave: LatencySketch.bucketsPerOctave } });
  for (const operation of operations) yield record({ operation: operationState(operation) });
  for (const edge of map.edges) yield record({ edge: edgeState(edge) });
  for (const node of map.nodes) yield record({ node: nodeState(node) });
  // Without it, a file that was cut between two records would look whole.
  yield record({ end: true });
}

/**
 * What is whole of the numbers of one process, and what is lost.
 *
 * @throws {MnopsError} `MNOPS_CORE_STORAGE_UNREADABLE` when nothing can be read.
 */
export async function readNumbers(folder: string, id: string): Promise<ReadNumbers> {
  const file = numbersFiles.pathOf(folder, id);
  const log = await openRecordLog({ file, ...format, readOnly: true });
  try {
    const modifiedMs = Math.floor((await stat(file)).mtimeMs);
    const head = { sequence: modifiedMs, atMs: modifiedMs };
    const operations: KnownOperation[] = [];
    const edges: Edge[] = [];
    const nodes: Node[] = [];
    const damage: StorageDamage[] = [];
    let ended = false;
    for await (const { payload, offset } of log.records()) {
      try {
        const record = recordAt(JSON.parse(Buffer.from(payload).toString('utf8')), 'record');
        if (has(record, 'end')) ended = true;
        else if (has(record, 'source')) Object.assign(head, readHead(record));
        else if (has(record, 'operation'))
          operations.push(readOperation(innerAt(record, 'operation', 'record'), 'operation', head.atMs));
        else if (has(record, 'edge')) edges.push(readEdge(innerAt(record, 'edge', 'record'), 'edge'));
        else if (has(record, 'node')) nodes.push(readNode(innerAt(record, 'node', 'record'), 'node'));
        else throw invalid('record', 'a source, operation, edge, node or end');
      } catch (error) {
        damage.push(badRecord(file, offset, error));
      }
    }
    const map = { edges, nodes, callers: [], called: [] };
    const { size } = await stat(file);
    if (size !== log.sizeBytes || !ended) damage.push(badRecord(file, log.sizeBytes, undefined));
    return { source: { id, ...head, operations, map, bytes: size * 2 }, damage: [...log.damage, ...damage] };
  } finally {
    await log.close();
  }
}

function readHead(record: Readonly<Record<string, unknown>>): { sequence: number; atMs: number } {
  const head = innerAt(record, 'source', 'record');
  if (numberAt(head, 'bucketsPerOctave', 'source') !== LatencySketch.bucketsPerOctave) {
    throw invalid('source.bucketsPerOctave', String(LatencySketch.bucketsPerOctave));
  }
  return { sequence: numberAt(head, 'sequence', 'source'), atMs: numberAt(head, 'atMs', 'source') };
}
