import { createHash } from 'node:crypto';
import { coreError } from '@mnops/core';
import type { SnapshotEntry, SnapshotReader } from '@mnops/core/spi';
import { drError } from '../codes.js';
import { compareNames, timeMs, unixMode } from '../repository/go-format.js';
import type { TreeNode } from '../repository/tree.js';
import { safeName, TreeWriter, type TreeWriterOptions } from './tree-writer.js';

/** What a reader of one source works with. */
export interface PointReaderOptions extends TreeWriterOptions {
  /** Node of the source's root. */
  readonly root: TreeNode;
  /** Place of that root below the snapshot's root; empty for points of other programs. */
  readonly place: string;
  /** Whether damage is reported only, instead of ending the restore. */
  readonly allowPartial: boolean;
}

/** Gives one source's data out of a recovery point, compared with the hashes of the backup. */
export class PointReader implements SnapshotReader {
  readonly #options: PointReaderOptions;
  #reported = 0;

  constructor(options: PointReaderOptions) {
    this.#options = options;
    this.#reported = options.report.damaged.length;
  }

  async *entries(): AsyncGenerator<SnapshotEntry> {
    const found: { readonly path: string; readonly node: TreeNode }[] = [];
    await this.#collect(this.#options.root.subtree, '', found);
    found.sort((a, b) => compareNames(a.path, b.path));
    for (const { path, node } of found) {
      yield { path, size: node.size, mode: unixMode(node.mode), modifiedMs: Math.trunc(timeMs(node.mtime)) };
    }
  }

  async *read(path: string): AsyncGenerator<Uint8Array> {
    const { repository, hashes, report, place } = this.#options;
    const node = this.#find(path.split('/'));
    if (node?.content === undefined) throw coreError('MNOPS_CORE_NOT_FOUND', `The point holds no file ${path}.`);
    const at = place === '' ? path : `${place}/${path}`;
    const hash = createHash('sha256');
    for (const id of node.content) {
      const bytes = repository.loadBlob('data', Buffer.from(id, 'hex'));
      if (bytes === undefined) throw this.#damaged(at, 'A part of the content is lost or damaged.');
      hash.update(bytes);
      yield bytes;
    }
    const sha256 = hash.digest('hex');
    if ((hashes.get(at) ?? sha256) !== sha256) throw this.#damaged(at, 'The content is not what the backup read.');
    report.file(at, node.size, sha256);
  }

  async restoreTree(folder: string, options: { readonly from?: string | undefined } = {}): Promise<void> {
    const { root, place, report, hashes, allowPartial } = this.#options;
    const { from = '' } = options;
    const node = from === '' ? root : this.#find(from.split('/'));
    if (node?.subtree === undefined) throw coreError('MNOPS_CORE_NOT_FOUND', `The point holds no folder ${from}.`);
    const at = [place, from].filter((part) => part !== '').join('/');
    const firstFile = report.files.length;
    await new TreeWriter(this.#options).write(node.subtree, folder, at, node);
    // The list of hashes knows what the trees have lost.
    const named = new Set([...report.files.slice(firstFile), ...report.damaged].map((entry) => entry.path));
    for (const path of hashes.keys()) {
      if ((at === '' || path.startsWith(`${at}/`)) && !named.has(path))
        report.lose(path, 'The file is lost with its folder.');
    }
    if (report.damaged.length > this.#reported && !allowPartial) {
      const lost = report.damaged.length - this.#reported;
      throw drError('MNOPS_DR_RESTORE_INCOMPLETE', `${lost} paths below ${at} could not be restored.`, {
        details: { damaged: report.damaged.slice(this.#reported) },
      });
    }
  }

  #damaged(path: string, message: string): Error {
    this.#options.report.lose(path, message);
    return drError('MNOPS_DR_RESTORE_INCOMPLETE', `File ${path} of the point is damaged.`, { details: { path } });
  }

  #find(segments: readonly string[]): TreeNode | undefined {
    let node: TreeNode | undefined = this.#options.root;
    for (const segment of segments) {
      const nodes: readonly TreeNode[] | undefined =
        node?.subtree === undefined ? undefined : this.#options.repository.loadTree(node.subtree);
      node = nodes?.find(({ name }) => name === segment);
    }
    return node;
  }

  async #collect(
    tree: string | undefined,
    below: string,
    found: { readonly path: string; readonly node: TreeNode }[],
  ): Promise<void> {
    const { repository, pacer, place } = this.#options;
    const nodes = tree === undefined ? undefined : repository.loadTree(tree);
    if (nodes === undefined) {
      if (this.#options.allowPartial) return;
      throw this.#damaged([place, below].filter((part) => part !== '').join('/'), 'The list of this folder is lost.');
    }
    for (const node of nodes) {
      if (!safeName(node.name)) continue;
      const path = below === '' ? node.name : `${below}/${node.name}`;
      if (node.type === 'dir') await this.#collect(node.subtree, path, found);
      else if (node.type === 'file') found.push({ path, node });
      if (pacer.due()) await pacer.pause();
    }
  }
}
