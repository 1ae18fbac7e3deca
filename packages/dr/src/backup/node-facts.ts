import type { BigIntStats, Stats } from 'node:fs';
import { goMode, timeMs, timeText } from '../repository/go-format.js';
import type { NodeType, TreeNode } from '../repository/tree.js';

/** What kind of node a file system entry becomes; `undefined` for kinds that the format does not know. */
export function nodeType(stat: Stats | BigIntStats): NodeType | undefined {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'dir';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isFIFO()) return 'fifo';
  if (stat.isSocket()) return 'socket';
  if (stat.isBlockDevice()) return 'dev';
  return stat.isCharacterDevice() ? 'chardev' : undefined;
}

/** A node with everything but content. */
export function nodeOf(name: string, type: NodeType, stat: BigIntStats): TreeNode {
  return {
    name,
    type,
    mode: goMode(type, Number(stat.mode & 0o7777n)),
    mtime: timeText(stat.mtimeNs),
    ctime: timeText(stat.ctimeNs),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    inode: exact(stat.ino),
    deviceId: exact(stat.dev),
    size: type === 'file' ? exact(stat.size) : 0,
    links: type === 'dir' ? 0 : exact(stat.nlink),
    device: type === 'dev' || type === 'chardev' ? exact(stat.rdev) : undefined,
  };
}

/** Larger numbers would be written with an exponent, which other readers refuse. */
function exact(value: bigint): number {
  return value >= 0n && value <= 9_007_199_254_740_991n ? Number(value) : 0;
}

/**
 * Whether an entry is what the earlier node says: size, times and inode as `stat` gives them. Every change of content,
 * rights or links moves the change time; one in the same tick as the earlier backup is ruled out by `beforeMs`.
 *
 * @param beforeMs - Changes at this time or later count as changed.
 */
export function isUnchanged(node: TreeNode, type: NodeType, stat: Stats, beforeMs: number): boolean {
  return (
    node.type === type &&
    node.inode === stat.ino &&
    node.deviceId === stat.dev &&
    (type !== 'file' || node.size === stat.size) &&
    stat.ctimeMs < beforeMs &&
    timeMs(node.ctime) === stat.ctimeMs &&
    timeMs(node.mtime) === stat.mtimeMs
  );
}
