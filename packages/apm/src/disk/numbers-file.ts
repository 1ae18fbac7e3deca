import { readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, MnopsError, storageError } from '@mnops/core';
import { ensureFolder, openRecordLog } from '@mnops/core/files';
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

const format = { magic: 'MNAPMNUM', version: 1 } as const;
const maxRecordBytes = 67_108_864;
const fileName = /^([0-9a-z-]{1,64})\.num$/;
const unfinishedForm = /^([0-9a-z-]{1,64})\.num\.new(?:\.rewrite)?$/;

/** What was read of one file of numbers. */
export interface ReadNumbers {
  readonly source: Source;
  readonly damage: readonly StorageDamage[];
}

/** Path of the numbers of one process. */
export function numbersFile(folder: string, id: string): string {
  return join(folder, `${id}.num`);
}

/** Ids of the processes whose numbers are in a folder, and of those that ended while they wrote some. */
export async function listNumbers(
  folder: string,
): Promise<{ readonly whole: string[]; readonly unfinished: string[] }> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return [];
    throw storageError('read', folder, error);
  });
  // Only plain files: a pipe would be waited for.
  const names = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
  const idsOf = (form: RegExp): string[] => names.flatMap((name) => form.exec(name)?.[1] ?? []).sort();
  return { whole: idsOf(fileName), unfinished: idsOf(unfinishedForm) };
}

/** Replaces the numbers of one process in one step: a crash leaves the old ones or the new ones, or none before the first. */
export async function writeNumbers(folder: string, source: Omit<Source, 'bytes'>): Promise<void> {
  // Now, not while it is written: figures go on, and what moves from one of them to another would count twice.
  const records = [...recordsOf(source)];
  await ensureFolder(folder);
  const unfinished = join(folder, unfinishedName(source.id));
  await removeUnfinished(folder, source.id);
  const log = await openRecordLog({ file: unfinished, ...format, maxRecordBytes });
  try {
    await log.rewrite(records);
  } finally {
    await log.close();
  }
  const file = numbersFile(folder, source.id);
  await rename(unfinished, file).catch((error: unknown) => {
    throw storageError('replace', file, error);
  });
}

/** Removes what a process left that ended while it wrote its numbers. */
export async function removeUnfinished(folder: string, id: string): Promise<void> {
  await rm(join(folder, unfinishedName(id)), { force: true });
  await rm(join(folder, `${unfinishedName(id)}.rewrite`), { force: true });
}

function unfinishedName(id: string): string {
  return `${id}.num.new`;
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
  const file = numbersFile(folder, id);
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

function badRecord(file: string, offset: number, error: unknown): StorageDamage {
  const code = MnopsError.is(error) ? error.code : 'MNOPS_CORE_STORAGE_UNREADABLE';
  return { code, file, offset, records: 1, remedy: 'None: what is lost is learned anew.' };
}
