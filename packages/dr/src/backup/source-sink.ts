import { lstatSync, realpathSync } from 'node:fs';
import { sep } from 'node:path';
import { coreError, storageError } from '@mnops/core';
import { configError } from '@mnops/core/config';
import type { SnapshotEntry, SnapshotSink } from '@mnops/core/spi';
import { compareNames, goMode, timeText } from '../repository/go-format.js';
import type { TreeNode } from '../repository/tree.js';
import { nodeOf } from './node-facts.js';
import { saveFolderNodes, saveTree, type WalkTools } from './tree-walker.js';

/** A folder that is still being put together. */
type Draft = Map<string, Draft | TreeNode>;

/** Takes in what one source hands over and makes its tree. */
export class SourceSink implements SnapshotSink {
  readonly #tools: WalkTools;
  readonly #sourceId: string;
  readonly #nowMs: number;
  readonly #root: Draft = new Map();
  #rootNode: TreeNode;
  #closed = false;

  /** @param nowMs - Time that folders and streams without one of their own get. */
  constructor(tools: WalkTools, sourceId: string, nowMs: number) {
    this.#tools = tools;
    this.#sourceId = sourceId;
    this.#nowMs = nowMs;
    this.#rootNode = this.#synthetic(sourceId, 'dir', 0o700, nowMs);
  }

  async addTree(
    folder: string,
    options: { readonly at?: string | undefined; readonly include?: ((path: string) => boolean) | undefined } = {},
  ): Promise<void> {
    this.#assertOpen();
    const { at = '', include = () => true } = options;
    const segments = at === '' ? [] : pathSegments(at, 'at');
    let real: string;
    let self: TreeNode;
    try {
      real = realpathSync(folder);
      const stat = lstatSync(real, { bigint: true });
      if (!stat.isDirectory()) throw Object.assign(new Error('not a folder'), { code: 'ENOTDIR' });
      self = nodeOf(segments.at(-1) ?? this.#sourceId, 'dir', stat);
    } catch (error) {
      throw storageError('back up', folder, error);
    }
    this.#assertForeign(real);
    const place = [this.#sourceId, ...segments].join('/');
    const nodes = await saveFolderNodes(this.#tools, real, place, include, this.#knownNodes(segments));
    if (segments.length === 0) {
      this.#rootNode = self;
      for (const node of nodes) this.#put(this.#root, node.name, node);
      return;
    }
    const parent = this.#draft(segments.slice(0, -1));
    this.#put(parent, self.name, { ...self, subtree: await saveTree(this.#tools.saver, nodes) });
  }

  /** A folder inside the repository would grow by being backed up. */
  #assertForeign(real: string): void {
    for (const own of this.#tools.ownFolders) {
      if (real !== own && !real.startsWith(own + sep)) continue;
      const expected = 'a folder outside the repository and its drills';
      const remedy = 'Back up another folder.';
      throw configError('backup', [{ field: `sources.${this.#sourceId}`, expected, received: 'one inside', remedy }]);
    }
  }

  async addStream(entry: SnapshotEntry, body: AsyncIterable<Uint8Array>): Promise<void> {
    this.#assertOpen();
    const segments = pathSegments(entry.path, 'path');
    const name = segments.at(-1) ?? '';
    const parent = this.#draft(segments.slice(0, -1));
    if (parent.has(name)) throw this.#taken(entry.path);
    const saved = await this.#tools.content.saveStream(body);
    if (entry.size !== undefined && entry.size !== saved.size) {
      throw coreError('MNOPS_CORE_CONFLICT', `Entry ${entry.path} said ${entry.size} bytes and had ${saved.size}.`);
    }
    this.#tools.tally.file(`${this.#sourceId}/${entry.path}`, saved.size, saved.sha256, true);
    const node = this.#synthetic(name, 'file', entry.mode ?? 0o600, entry.modifiedMs ?? this.#nowMs);
    this.#put(parent, name, { ...node, size: saved.size, content: saved.content });
  }

  /** Stores the tree and returns the source's node; the sink takes nothing more. */
  async finish(): Promise<TreeNode> {
    this.#closed = true;
    return { ...this.#rootNode, name: this.#sourceId, subtree: await this.#saveDraft(this.#root) };
  }

  async #saveDraft(draft: Draft): Promise<string> {
    const nodes: TreeNode[] = [];
    for (const [name, entry] of [...draft].sort(([a], [b]) => compareNames(a, b))) {
      if (!isDraft(entry)) nodes.push(entry);
      else nodes.push({ ...this.#synthetic(name, 'dir', 0o700, this.#nowMs), subtree: await this.#saveDraft(entry) });
    }
    return await saveTree(this.#tools.saver, nodes);
  }

  #draft(segments: readonly string[]): Draft {
    let draft = this.#root;
    for (const [index, segment] of segments.entries()) {
      const next = draft.get(segment) ?? new Map<string, Draft | TreeNode>();
      if (!isDraft(next)) throw this.#taken(segments.slice(0, index + 1).join('/'));
      draft.set(segment, next);
      draft = next;
    }
    return draft;
  }

  #put(draft: Draft, name: string, node: TreeNode): void {
    if (draft.has(name)) throw this.#taken(name);
    draft.set(name, node);
  }

  #taken(path: string): Error {
    return coreError('MNOPS_CORE_CONFLICT', `Source ${this.#sourceId} put two things at ${path} of its snapshot.`);
  }

  #assertOpen(): void {
    if (this.#closed) throw coreError('MNOPS_CORE_CLOSED', `The snapshot of source ${this.#sourceId} is complete.`);
  }

  /** Nodes of the same folder in the earlier backup. */
  #knownNodes(segments: readonly string[]): readonly TreeNode[] {
    const { parent, repository } = this.#tools;
    let nodes = parent === undefined ? undefined : repository.loadTree(parent.tree);
    for (const segment of segments) {
      const subtree = nodes?.find((node) => node.name === segment && node.type === 'dir')?.subtree;
      nodes = subtree === undefined ? undefined : repository.loadTree(subtree);
    }
    return nodes ?? [];
  }

  #synthetic(name: string, type: 'file' | 'dir', mode: number, timeMs: number): TreeNode {
    const time = timeText(BigInt(Math.trunc(timeMs)) * 1_000_000n);
    const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    const facts = { inode: 0, deviceId: 0, size: 0, links: 0 };
    return { name, type, mode: goMode(type, mode), mtime: time, ctime: time, ...owner, ...facts };
  }
}

function isDraft(entry: Draft | TreeNode): entry is Draft {
  return entry instanceof Map;
}

function pathSegments(path: string, field: string): string[] {
  const segments = path.split('/');
  if (segments.every((segment) => segment !== '' && segment !== '.' && segment !== '..' && !segment.includes('\0'))) {
    return segments;
  }
  throw configError('snapshot entry', [
    {
      field,
      expected: 'a relative path without empty, "." and ".." segments',
      received: 'another',
      remedy: 'Name the entry by a path inside the snapshot.',
    },
  ]);
}
