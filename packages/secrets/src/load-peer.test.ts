import { describe, expect, it } from 'vitest';
import { loadPeer } from './load-peer.js';

describe('loadPeer', () => {
  it('names the install line of a package that is missing', async () => {
    const missing = loadPeer('not-installed', 'Signing in', () => import('not-installed' as string));
    await expect(missing).rejects.toMatchObject({
      code: 'MNOPS_CORE_DEPENDENCY_MISSING',
      message: expect.stringContaining('npm install not-installed'),
    });
  });

  it('names the package without its version, scopes kept', async () => {
    const missing = loadPeer('@scope/absent@1', 'It', () => import('@scope/absent' as string));
    await expect(missing).rejects.toMatchObject({
      message: 'It needs @scope/absent: `npm install @scope/absent@1`.',
      details: { dependency: '@scope/absent' },
    });
  });

  it('says nothing of a package that is there and lacks one of its own', async () => {
    const lacking = Object.assign(new Error("Cannot find package 'its-own'"), { code: 'ERR_MODULE_NOT_FOUND' });
    await expect(loadPeer('present', 'It', () => Promise.reject(lacking))).rejects.toBe(lacking);
  });

  it('passes on what the package gives, and its own failures', async () => {
    expect(await loadPeer('x', 'X', async () => 1)).toBe(1);
    const broken = loadPeer('x', 'X', () => Promise.reject(new SyntaxError('broken')));
    await expect(broken).rejects.toThrow(SyntaxError);
  });
});
