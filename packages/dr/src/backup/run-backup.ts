import { realpathSync } from 'node:fs';
import { hostname } from 'node:os';
import { codeOf, MnopsError } from '@mnops/core';
import type { Call, Clock, JsonValue, Recoverable } from '@mnops/core/spi';
import { pacer } from '../pacer.js';
import { gearChunker } from '../repository/gear-chunker.js';
import { goMode, timeText } from '../repository/go-format.js';
import { userName } from '../repository/identity.js';
import type { Repository } from '../repository/repository.js';
import type { TreeNode } from '../repository/tree.js';
import { BlobSaver } from './blob-saver.js';
import { ContentSaver } from './content-saver.js';
import { manifestBytes, manifestLine, manifestName, pointFolder, pointName } from './manifest.js';
import { findParent, ownTag } from './parent.js';
import { SourceSink } from './source-sink.js';
import { type BackedUpFile, type BackupProgress, BackupTally, type PathFinding } from './tally.js';
import { saveTree, type WalkTools } from './tree-walker.js';

/** What one source gave. */
export interface SourceResult {
  readonly id: string;
  readonly state: 'complete' | 'partial' | 'failed';
  readonly files: number;
  readonly bytes: number;
  /** When the last change that the source's data holds was made, where the source knows. */
  readonly lastChangeAt?: Date | undefined;
  /** Position in the source's own terms. */
  readonly position?: string | undefined;
  /** Why the source failed. */
  readonly error?: { readonly code: string; readonly message: string } | undefined;
}

/** What a backup did. */
export interface BackupOutcome {
  /** Absent when nothing was committed. */
  readonly snapshotId?: string | undefined;
  readonly startedAt: Date;
  readonly state: 'committed' | 'partial' | 'discarded';
  readonly sources: readonly SourceResult[];
  readonly files: readonly BackedUpFile[];
  readonly unreadable: readonly PathFinding[];
  /** Folders of this manager that stand in a source: the repository never holds itself. */
  readonly leftOut: readonly string[];
  readonly bytes: number;
  readonly readBytes: number;
  readonly addedBytes: number;
  readonly storedBytes: number;
}

/** What a backup is made of. */
export interface BackupInput {
  readonly repository: Repository;
  readonly sources: readonly Recoverable[];
  readonly tags: readonly string[];
  /** Folders that are left out wherever they stand. */
  readonly ownFolders: readonly string[];
  readonly allowPartial: boolean;
  readonly clock: Clock;
  readonly call: Call;
  readonly onProgress: (progress: BackupProgress) => void;
}

/** Tag of a snapshot that does not hold all that was asked. */
export const partialTag = 'partial';

/** Makes one recovery point of all sources: packs first, then the index, then the snapshot, which is the commit. */
export async function runBackup(input: BackupInput): Promise<BackupOutcome> {
  const { repository, call, clock } = input;
  const lock = await repository.lock(call.signal);
  try {
    repository.refresh();
    const startedMs = clock.now();
    const store = repository.writer();
    const saver = new BlobSaver(repository, store);
    try {
      return await collect(input, startedMs, saver, async () => {
        await store.flush();
        return store.storedBytes;
      });
    } finally {
      await store.settle();
    }
  } finally {
    await lock.release();
  }
}

async function collect(
  input: BackupInput,
  startedMs: number,
  saver: BlobSaver,
  flush: () => Promise<number>,
): Promise<BackupOutcome> {
  const { repository, call } = input;
  const tally = new BackupTally();
  let running = '';
  const pace = pacer(call.signal, () => {
    input.onProgress({ source: running, files: tally.files.length, bytes: tally.bytes, readBytes: tally.readBytes });
  });
  const chunker = gearChunker(Buffer.from(repository.config?.id ?? '', 'hex'));
  const content = new ContentSaver(saver, chunker, pace);
  const nodes: TreeNode[] = [];
  const sources: SourceResult[] = [];
  let parentId: string | undefined;
  for (const source of input.sources) {
    running = source.id;
    const parent = findParent(repository, source.id);
    parentId ??= parent?.snapshotId;
    const tools = { repository, saver, content, pacer: pace, tally, parent, ownFolders: realFolders(input.ownFolders) };
    const { node, result } = await saveSource(source, tools, startedMs, call);
    sources.push(result);
    if (node !== undefined) nodes.push(node);
  }
  const complete = sources.every(({ state }) => state === 'complete');
  const base = {
    startedAt: new Date(startedMs),
    sources,
    files: tally.files,
    unreadable: tally.findings,
    leftOut: tally.leftOut,
    bytes: tally.bytes,
    readBytes: tally.readBytes,
  };
  if (!complete && (!input.allowPartial || nodes.length === 0)) {
    // What was read stays stored for the next backup; without a snapshot it is no recovery point.
    const storedBytes = await flush();
    return { ...base, state: 'discarded', addedBytes: saver.addedBytes, storedBytes };
  }
  nodes.push(await savePointFolder(saver, content, tally.files, sources, startedMs));
  const tree = await saveTree(saver, nodes);
  const storedBytes = await flush();
  call.signal.throwIfAborted();
  const tags = [ownTag, ...(complete ? [] : [partialTag]), ...input.tags];
  const snapshot = {
    time: timeText(BigInt(startedMs) * 1_000_000n),
    ...(parentId === undefined ? {} : { parent: parentId }),
    tree,
    paths: nodes.filter(({ name }) => name !== pointFolder).map(({ name }) => `/${name}`),
    hostname: hostname(),
    username: userName(),
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    tags,
  };
  const snapshotId = await repository.storeJson('snapshots', JSON.stringify(snapshot));
  return { ...base, snapshotId, state: complete ? 'committed' : 'partial', addedBytes: saver.addedBytes, storedBytes };
}

async function saveSource(
  source: Recoverable,
  tools: WalkTools,
  startedMs: number,
  call: Call,
): Promise<{ readonly node: TreeNode | undefined; readonly result: SourceResult }> {
  const { tally } = tools;
  const before = { files: tally.files.length, bytes: tally.bytes, findings: tally.findings.length };
  const sink = new SourceSink(tools, source.id, startedMs);
  try {
    const { lastChangeMs, position } = await source.snapshot(sink, call);
    const node = await sink.finish();
    const state = tally.findings.length > before.findings ? 'partial' : 'complete';
    const lastChangeAt = lastChangeMs === undefined ? undefined : new Date(lastChangeMs);
    const sizes = { files: tally.files.length - before.files, bytes: tally.bytes - before.bytes };
    return { node, result: { id: source.id, state, ...sizes, lastChangeAt, position } };
  } catch (error) {
    // A full disk or an abort ends the whole backup; a source that cannot be read is its own failure.
    if (call.signal.aborted || isRepositoryFailure(tools, error)) throw error;
    tally.files.splice(before.files);
    tally.bytes = before.bytes;
    const message = error instanceof Error ? error.message : 'Unknown failure.';
    const failure = { code: codeOf(error) ?? 'unknown', message };
    return { node: undefined, result: { id: source.id, state: 'failed', files: 0, bytes: 0, error: failure } };
  }
}

/** The folders by their real paths, as the walk sees them; those that are not there yet cannot be met. */
function realFolders(folders: readonly string[]): ReadonlySet<string> {
  const real = new Set<string>();
  for (const folder of folders) {
    try {
      real.add(realpathSync(folder));
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
    }
  }
  return real;
}

/** Whether the error is about the place where packs are written. */
function isRepositoryFailure({ repository }: WalkTools, error: unknown): boolean {
  const path = MnopsError.is(error, 'MNOPS_CORE_STORAGE_FAILED') ? error.details?.['path'] : undefined;
  return typeof path === 'string' && path.startsWith(repository.folder.path);
}

async function savePointFolder(
  saver: BlobSaver,
  content: ContentSaver,
  files: readonly BackedUpFile[],
  sources: readonly SourceResult[],
  startedMs: number,
): Promise<TreeNode> {
  const time = timeText(BigInt(startedMs) * 1_000_000n);
  const facts = { mtime: time, ctime: time, uid: 0, gid: 0, inode: 0, deviceId: 0, links: 0 };
  const file = async (name: string, bytes: Buffer): Promise<TreeNode> => {
    const saved = await content.saveStream([bytes] as unknown as AsyncIterable<Uint8Array>);
    return { name, type: 'file', mode: goMode('file', 0o600), ...facts, size: saved.size, content: saved.content };
  };
  const point: JsonValue = {
    format: 1,
    sources: sources.map(({ id, state, files: count, bytes, lastChangeAt, position }) => ({
      id,
      state,
      files: count,
      bytes,
      lastChangeMs: lastChangeAt?.getTime() ?? null,
      position: position ?? null,
    })),
  };
  const subtree = await saveTree(saver, [
    await file(manifestName, manifestBytes(files.map(manifestLine))),
    await file(pointName, Buffer.from(`${JSON.stringify(point)}\n`)),
  ]);
  return { name: pointFolder, type: 'dir', mode: goMode('dir', 0o700), ...facts, size: 0, subtree };
}
