import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { memorySnapshot, recoverableContract, testCall } from '@mnops/core/testing';
import { describe, expect, it } from 'vitest';
import { discard, scratch } from '../../prove/repository-kit.js';
import { files } from './files.js';

function contentOf(folder: string): Record<string, string> {
  return Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
}

recoverableContract({ describe, it }, 'files', async () => {
  const base = scratch();
  const folder = join(base, 'data');
  mkdirSync(folder);
  let count = 0;
  return {
    provider: files(folder),
    change: async () => writeFileSync(join(folder, `file-${count}`), `content ${count++}`),
    content: async () => contentOf(folder),
    contentOf: async (at: string) => contentOf(at),
    damageFoundBy: 'reader' as const,
    close: async () => discard(base),
  };
});

describe('files', () => {
  it('leaves out what `include` refuses', async () => {
    const base = scratch();
    writeFileSync(join(base, 'keep'), '');
    mkdirSync(join(base, 'cache'));
    writeFileSync(join(base, 'cache', 'x'), '');
    const { sink, files: held } = memorySnapshot();
    await files(base, { id: 'app', include: (path) => path !== 'cache' }).snapshot(sink, testCall());
    expect([...held.keys()]).toEqual(['keep']);
    discard(base);
  });

  it('refuses options that it does not know', () => {
    expect(() => files('x', { ids: 'a' } as object)).toThrow(/ids/);
    expect(() => files('')).toThrow(expect.objectContaining({ code: 'MNOPS_CORE_CONFIG_INVALID' }));
  });
});
