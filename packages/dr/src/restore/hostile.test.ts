import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { testCall } from '@mnops/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { discard, passphrase, scratch } from '../../prove/repository-kit.js';
import { BlobSaver } from '../backup/blob-saver.js';
import { saveTree } from '../backup/tree-walker.js';
import { pointOf } from '../points.js';
import { goMode } from '../repository/go-format.js';
import { Repository } from '../repository/repository.js';
import type { NodeType, TreeNode } from '../repository/tree.js';
import { type RestoreOutcome, runRestore } from './run-restore.js';

let base = '';
let repository: Repository;

beforeEach(async () => {
  base = scratch();
  mkdirSync(join(base, 'outside'));
  writeFileSync(join(base, 'outside', 'precious'), 'precious');
  repository = await Repository.create({ folder: join(base, 'r'), passphrase, scryptCost: { N: 16, r: 1, p: 1 } });
});

afterEach(() => {
  repository.close();
  discard(base);
});

const time = '2026-01-01T00:00:00Z';

function node(name: string, type: NodeType, more: Partial<TreeNode> = {}): TreeNode {
  const facts = { mtime: time, ctime: time, uid: 0, gid: 0, inode: 0, deviceId: 0, size: 0, links: 0 };
  return { name, type, mode: goMode(type, 0o755), ...facts, ...more };
}

/** Restores a tree that somebody made up; `build` gets a function that stores content. */
async function restoreOf(
  build: (content: (text: string) => string, tree: (nodes: TreeNode[]) => Promise<string>) => Promise<TreeNode[]>,
): Promise<RestoreOutcome> {
  const store = repository.writer();
  const saver = new BlobSaver(repository, store);
  const content = (text: string): string => saver.save('data', Buffer.from(text)).toString('hex');
  const tree = await saveTree(saver, await build(content, (nodes) => saveTree(saver, nodes)));
  await store.flush();
  const snapshot = { time, tree, paths: ['/x'] };
  return await runRestore({
    repository,
    selected: { point: pointOf('0'.repeat(64), snapshot), snapshot },
    sources: [],
    recoverables: new Map(),
    target: { folder: join(base, 'target') },
    verify: true,
    allowPartial: true,
    call: testCall(),
    onProgress: () => undefined,
  });
}

describe('a hostile tree', () => {
  it('gets no name that leads out of the target', async () => {
    const names = ['../escape', '..', '.', '', '/absolute', 'a/b', 'nul\0', '../../outside/precious', 'x'.repeat(300)];
    const result = await restoreOf(async (content) => [
      node('good', 'file', { size: 4, content: [content('good')] }),
      ...names.map((name) => node(name, 'file', { size: 4, content: [content('evil')] })),
      ...names.map((name) => node(name, 'symlink', { linkTarget: '/etc' })),
    ]);
    expect(result.state).toBe('partial');
    expect(result.damaged.length).toBe(names.length * 2);
    expect(readdirSync(join(base, 'target'))).toEqual(['good']);
    expect(readdirSync(base).sort()).toEqual(['outside', 'r', 'target']);
    expect(readFileSync(join(base, 'outside', 'precious'), 'utf8')).toBe('precious');
  });

  it('cannot write through a link of its own', async () => {
    const outside = join(base, 'outside');
    const result = await restoreOf(async (content, tree) => {
      const below = await tree([node('precious', 'file', { size: 4, content: [content('evil')] })]);
      return [
        node('way', 'symlink', { linkTarget: outside }),
        node('way', 'dir', { subtree: below }),
        node('file', 'symlink', { linkTarget: join(outside, 'new') }),
        node('file', 'file', { size: 4, content: [content('evil')] }),
      ];
    });
    expect(readdirSync(outside)).toEqual(['precious']);
    expect(readFileSync(join(outside, 'precious'), 'utf8')).toBe('precious');
    expect(result.damaged.map(({ path }) => path).sort()).toEqual(['file', 'way']);
  });

  it('gets no devices, and a wrong size is not taken for the file', async () => {
    const result = await restoreOf(async (content) => [
      node('disk', 'dev', { device: 2049 }),
      node('pipe', 'fifo'),
      node('short', 'file', { size: 400, content: [content('four')] }),
      node('lost', 'file', { size: 4, content: ['ab'.repeat(32)] }),
    ]);
    expect(result.skippedAttributes.map(({ path }) => path)).toEqual(['disk', 'pipe']);
    expect(result.damaged.map(({ path }) => path).sort()).toEqual(['lost', 'short']);
    expect(existsSync(join(base, 'target', 'short'))).toBe(false);
  });
});
