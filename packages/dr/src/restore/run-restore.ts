import { join } from 'node:path';
import { codeOf, MnopsError, UnsupportedError } from '@mnops/core';
import type { Call, Recoverable, RecoveryFinding } from '@mnops/core/spi';
import { loadManifest } from '../backup/parent.js';
import type { PathFinding } from '../backup/tally.js';
import { drError } from '../codes.js';
import { pacer } from '../pacer.js';
import type { SelectedPoint } from '../points.js';
import type { Repository } from '../repository/repository.js';
import type { TreeNode } from '../repository/tree.js';
import { PointReader } from './point-reader.js';
import { type RestoredFile, RestoreReport } from './restore-report.js';

/** Where data goes: a folder of its own, or each source's own place. */
export type RestoreDestination = { readonly folder: string } | { readonly inPlace: true };

/** What a restore is made of. */
export interface RestoreInput {
  readonly repository: Repository;
  readonly selected: SelectedPoint;
  readonly sources: readonly string[];
  readonly recoverables: ReadonlyMap<string, Recoverable>;
  readonly target: RestoreDestination;
  readonly verify: boolean;
  readonly allowPartial: boolean;
  readonly call: Call;
  readonly onProgress: (progress: RestoreProgress) => void;
}

/** How far a restore has come. */
export interface RestoreProgress {
  readonly source: string;
  readonly files: number;
  readonly bytes: number;
}

/** What a restore did. */
export interface RestoreOutcome {
  readonly state: 'exact' | 'partial';
  readonly files: readonly RestoredFile[];
  readonly bytes: number;
  /** Files that were read again from the disk and have the hash that the backup noted. */
  readonly verifiedFiles: number;
  readonly damaged: readonly PathFinding[];
  readonly skippedAttributes: readonly PathFinding[];
  /** What the components themselves found wrong with the restored data. */
  readonly findings: readonly RecoveryFinding[];
  /** Folder of each restored source, in a restore to a folder. */
  readonly folders: Readonly<Record<string, string>>;
}

/** Checks that every source can go where it is asked to, before anything is written. */
export function assertRestorable(input: Pick<RestoreInput, 'selected' | 'sources' | 'recoverables' | 'target'>): void {
  const inPlace = 'inPlace' in input.target;
  for (const id of input.sources) {
    const recoverable = input.recoverables.get(id);
    if (!input.selected.point.sources.includes(id) || (inPlace && recoverable === undefined)) {
      throw drError('MNOPS_DR_SOURCE_NOT_FOUND', `Source ${id} is not in the point, or not configured.`, {
        details: { source: id, point: input.selected.point.id, inPoint: input.selected.point.sources },
      });
    }
    const able = recoverable?.capabilities[inPlace ? 'inPlace' : 'isolatedRestore'] ?? true;
    if (!able) throw new UnsupportedError(`Source ${id} cannot be restored ${inPlace ? 'in place' : 'into a folder'}.`);
  }
  if (inPlace && input.sources.length === 0) {
    throw new UnsupportedError('A point of another program can only be restored into a folder.');
  }
}

/** Brings a point back. What is damaged is listed; other failures reject. */
export async function runRestore(input: RestoreInput): Promise<RestoreOutcome> {
  assertRestorable(input);
  const { repository, selected, call } = input;
  const lock = await repository.lock(call.signal);
  try {
    repository.refresh();
    const root = repository.loadTree(selected.snapshot.tree);
    if (root === undefined) {
      throw drError('MNOPS_DR_REPOSITORY_DAMAGED', `The root of point ${selected.point.id} is lost or damaged.`, {
        details: { point: selected.point.id },
      });
    }
    return await restoreSources(input, root);
  } finally {
    await lock.release();
  }
}

async function restoreSources(input: RestoreInput, root: readonly TreeNode[]): Promise<RestoreOutcome> {
  const { repository, selected, call, target } = input;
  const report = new RestoreReport();
  const findings: RecoveryFinding[] = [];
  const folders: Record<string, string> = {};
  let running = '';
  const pace = pacer(call.signal, () =>
    input.onProgress({ source: running, files: report.files.length, bytes: report.bytes }),
  );
  const shared = { repository, pacer: pace, report, verify: input.verify, allowPartial: input.allowPartial };
  if (input.sources.length === 0 && 'folder' in target) {
    const whole = { ...emptyRoot, subtree: selected.snapshot.tree };
    const reader = new PointReader({ ...shared, hashes: new Map(), root: whole, place: '' });
    await tolerant(report, () => reader.restoreTree(target.folder));
  }
  const hashes = loadManifest(repository, root);
  for (const id of input.sources) {
    running = id;
    const node = root.find(({ name, type }) => name === id && type === 'dir');
    if (node === undefined) {
      report.lose(id, 'The point does not hold the source any more.');
      continue;
    }
    const place = 'folder' in target ? ({ folder: join(target.folder, id) } as const) : target;
    if ('folder' in place) folders[id] = place.folder;
    const own = onlyBelow(hashes, id);
    const reader = new PointReader({ ...shared, hashes: own, root: node, place: id });
    const recoverable = input.recoverables.get(id);
    if (recoverable !== undefined) {
      const whole = await tolerant(report, () => recoverable.restore(reader, place, call));
      if (whole) findings.push(...(await recoverable.verify(place, call)));
    } else if ('folder' in place) await tolerant(report, () => reader.restoreTree(place.folder));
  }
  const broken = findings.some(({ severity }) => severity === 'error');
  return {
    state: report.damaged.length === 0 && !broken ? 'exact' : 'partial',
    files: report.files,
    bytes: report.bytes,
    verifiedFiles: report.verifiedFiles,
    damaged: report.damaged,
    skippedAttributes: report.skippedAttributes,
    findings,
    folders,
  };
}

/** Damage is in the report already; the other sources are still restored. */
async function tolerant(report: RestoreReport, run: () => Promise<unknown>): Promise<boolean> {
  try {
    await run();
    return true;
  } catch (error) {
    if (!MnopsError.is(error, 'MNOPS_DR_RESTORE_INCOMPLETE')) throw error;
    if (report.damaged.length === 0) report.lose('', `The restore ended early: ${codeOf(error) ?? 'unknown reason'}.`);
    return false;
  }
}

function onlyBelow(hashes: ReadonlyMap<string, string>, id: string): Map<string, string> {
  return new Map([...hashes].filter(([path]) => path.startsWith(`${id}/`)));
}

const emptyRoot: TreeNode = {
  name: '',
  type: 'dir',
  mode: 0o700,
  mtime: '1970-01-01T00:00:00Z',
  ctime: '1970-01-01T00:00:00Z',
  uid: process.getuid?.() ?? 0,
  gid: process.getgid?.() ?? 0,
  inode: 0,
  deviceId: 0,
  size: 0,
  links: 0,
};
