import type { Repository } from '../repository/repository.js';
import type { TreeNode } from '../repository/tree.js';
import { manifestName, parseManifest, pointFolder } from './manifest.js';

/** What the newest earlier backup of a source says, to know what did not change. */
export interface Parent {
  readonly snapshotId: string;
  /** When that backup began, epoch milliseconds. */
  readonly startedMs: number;
  /** Tree of the source's root. */
  readonly tree: string;
  /** SHA-256 of a file of that backup by its path below the snapshot's root, where it is known. */
  sha256(path: string): string | undefined;
}

/** Tag of every snapshot that this package writes. */
export const ownTag = 'mnops';

/** The newest backup that holds the source and can still be read. */
export function findParent(repository: Repository, sourceId: string): Parent | undefined {
  const { snapshots } = repository.snapshots();
  for (const { id, snapshot } of snapshots.reverse()) {
    if (snapshot.tags?.includes(ownTag) !== true || !snapshot.paths.includes(`/${sourceId}`)) continue;
    const root = repository.loadTree(snapshot.tree);
    const tree = root?.find((node) => node.name === sourceId && node.type === 'dir')?.subtree;
    if (root === undefined || tree === undefined) continue;
    let hashes: Map<string, string> | undefined;
    return {
      snapshotId: id,
      startedMs: Date.parse(snapshot.time),
      tree,
      sha256(path) {
        hashes ??= loadManifest(repository, root);
        return hashes.get(path);
      },
    };
  }
  return undefined;
}

/** The hashes that a snapshot of ours carries; empty when it has none or they are damaged. */
export function loadManifest(repository: Repository, root: readonly TreeNode[]): Map<string, string> {
  const bytes = loadPointFile(repository, root, manifestName);
  return bytes === undefined ? new Map() : parseManifest(bytes);
}

/** Bytes of one of the point's own files; `undefined` when it is absent or damaged. */
export function loadPointFile(repository: Repository, root: readonly TreeNode[], name: string): Buffer | undefined {
  const folder = root.find((node) => node.name === pointFolder && node.type === 'dir')?.subtree;
  const file = folder === undefined ? undefined : repository.loadTree(folder)?.find((node) => node.name === name);
  if (file?.content === undefined) return undefined;
  const parts: Buffer[] = [];
  for (const id of file.content) {
    const part = repository.loadBlob('data', Buffer.from(id, 'hex'));
    if (part === undefined) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts);
}
