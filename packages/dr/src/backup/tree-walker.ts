import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readlinkSync, type Stats } from 'node:fs';
import { codeOf } from '@mnops/core';
import type { Pacer } from '../pacer.js';
import { compareNames, hostPath, nameFromBytes } from '../repository/go-format.js';
import type { Repository } from '../repository/repository.js';
import { encodeTree, type TreeNode } from '../repository/tree.js';
import type { BlobSaver } from './blob-saver.js';
import type { ContentSaver } from './content-saver.js';
import { emptySha256 } from './content-saver.js';
import { isUnchanged, nodeOf, nodeType } from './node-facts.js';
import type { Parent } from './parent.js';
import type { BackupTally } from './tally.js';

/** What the walk of one source works with. */
export interface WalkTools {
  readonly repository: Repository;
  readonly saver: BlobSaver;
  readonly content: ContentSaver;
  readonly pacer: Pacer;
  readonly tally: BackupTally;
  readonly parent: Parent | undefined;
  /** Real paths of folders that are left out. */
  readonly ownFolders: ReadonlySet<string>;
}

/** One walk: which paths it takes in, and where they stand in the snapshot. */
interface Walk {
  readonly tools: WalkTools;
  readonly include: (path: string) => boolean;
  /** Changes at this time or later count as changed. */
  readonly beforeMs: number;
}

/** Clock ticks of file systems are up to 10 ms apart; a change within them may leave the times as they were. */
const sameTickMs = 50;
/** A link is not followed, a pipe does not block; both can stand where a file was a moment ago. */
const openFlags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/**
 * Stores a folder of the local file system and returns its nodes, links and modes included.
 *
 * @param place - Path of the folder below the snapshot's root.
 * @param include - Asked with the path below the folder, for files and for folders.
 * @param known - Nodes of the same folder in the earlier backup.
 */
export async function saveFolderNodes(
  tools: WalkTools,
  folder: string,
  place: string,
  include: (path: string) => boolean,
  known: readonly TreeNode[],
): Promise<TreeNode[]> {
  const beforeMs = tools.parent === undefined ? 0 : tools.parent.startedMs - sameTickMs;
  return (await saveNodes({ tools, include, beforeMs }, folder, place, '', known)).nodes;
}

interface SavedNodes {
  readonly nodes: TreeNode[];
  /** Whether they are exactly the earlier ones. */
  readonly same: boolean;
}

async function saveNodes(
  walk: Walk,
  folder: string,
  place: string,
  below: string,
  known: readonly TreeNode[],
): Promise<SavedNodes> {
  const { pacer, tally } = walk.tools;
  const names = readNames(folder, place, tally);
  if (names === undefined) return { nodes: [], same: false };
  const earlier = new Map(known.map((node) => [node.name, node]));
  const nodes: TreeNode[] = [];
  let same = names.length >= known.length;
  for (const name of names) {
    const relative = below === '' ? name : `${below}/${name}`;
    if (!walk.include(relative)) continue;
    const before = earlier.get(name);
    const node = await saveEntry(walk, `${folder}/${name}`, `${place}/${name}`, relative, name, before);
    if (node !== undefined) nodes.push(node);
    if (node === undefined || node !== before) same = false;
    if (pacer.due()) await pacer.pause();
  }
  return { nodes, same: same && nodes.length === known.length };
}

/** Names in a folder in the order of their bytes; `undefined` when it cannot be read. */
function readNames(folder: string, place: string, tally: BackupTally): string[] | undefined {
  try {
    const names = readdirSync(hostPath(folder));
    const odd = names.some((name) => name.includes('\uFFFD'));
    const exact = odd ? readdirSync(hostPath(folder), { encoding: 'buffer' }).map(nameFromBytes) : names;
    return exact.sort(compareNames);
  } catch (error) {
    if (!isGone(error)) tally.unreadable(place, error);
    return undefined;
  }
}

async function saveEntry(
  walk: Walk,
  path: string,
  place: string,
  relative: string,
  name: string,
  before: TreeNode | undefined,
): Promise<TreeNode | undefined> {
  const { tally, content } = walk.tools;
  try {
    const stat = lstatSync(hostPath(path));
    const type = nodeType(stat);
    if (type === undefined) return undefined;
    if (type === 'dir' && walk.tools.ownFolders.has(path)) {
      tally.leftOut.push(place);
      return undefined;
    }
    if (type === 'dir') return await saveFolder(walk, path, place, relative, name, before, stat);
    if (before !== undefined && isUnchanged(before, type, stat, walk.beforeMs)) {
      if (type !== 'file' || keepUnchanged(walk, place, before)) return before;
    }
    if (type !== 'file') {
      const node = nodeOf(name, type, lstatSync(hostPath(path), { bigint: true }));
      if (type !== 'symlink') return node;
      return { ...node, linkTarget: nameFromBytes(readlinkSync(hostPath(path), { encoding: 'buffer' })) };
    }
    const descriptor = openSync(hostPath(path), openFlags);
    try {
      // The facts are taken before the bytes: a change in between is found by the next backup.
      const facts = fstatSync(descriptor, { bigint: true });
      if (!facts.isFile()) return undefined;
      const saved = await content.saveFile(descriptor);
      tally.file(place, saved.size, saved.sha256, true);
      return { ...nodeOf(name, 'file', facts), size: saved.size, content: saved.content };
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    // What was removed meanwhile is not in the backup, as if it had been removed before.
    if (!isFileError(error)) throw error;
    if (!isGone(error)) tally.unreadable(place, error);
    return undefined;
  }
}

/** Whether all of an unchanged file is stored and its hash known, so that it need not be read. */
function keepUnchanged({ tools }: Walk, place: string, node: TreeNode): boolean {
  const content = node.content ?? [];
  for (const id of content) if (!tools.saver.has('data', Buffer.from(id, 'hex'))) return false;
  const sha256 = content.length === 0 ? emptySha256 : content.length === 1 ? content[0] : tools.parent?.sha256(place);
  if (sha256 === undefined) return false;
  tools.tally.file(place, node.size, sha256, false);
  return true;
}

async function saveFolder(
  walk: Walk,
  path: string,
  place: string,
  relative: string,
  name: string,
  before: TreeNode | undefined,
  stat: Stats,
): Promise<TreeNode> {
  const { repository, saver } = walk.tools;
  const earlier = before?.type === 'dir' && before.subtree !== undefined ? before.subtree : undefined;
  const known = earlier === undefined ? [] : (repository.loadTree(earlier) ?? []);
  const { nodes, same } = await saveNodes(walk, path, place, relative, known);
  const reusable = same && earlier !== undefined && saver.has('tree', Buffer.from(earlier, 'hex'));
  const subtree = reusable && known.length > 0 ? earlier : await saveTree(saver, nodes);
  if (before !== undefined && subtree === earlier && isUnchanged(before, 'dir', stat, walk.beforeMs)) return before;
  return { ...nodeOf(name, 'dir', lstatSync(hostPath(path), { bigint: true })), subtree };
}

/** Stores a folder's list of nodes and returns its id. */
export async function saveTree(saver: BlobSaver, nodes: readonly TreeNode[]): Promise<string> {
  const id = saver.save('tree', Buffer.from(encodeTree(nodes), 'utf8')).toString('hex');
  await saver.settle();
  return id;
}

/** Errors of the walked files; those of the repository and of the caller end the backup. */
function isFileError(error: unknown): boolean {
  const code = codeOf(error);
  return code !== undefined && /^E[A-Z0-9]+$/.test(code);
}

function isGone(error: unknown): boolean {
  return codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR';
}
