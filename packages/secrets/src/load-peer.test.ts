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

  it('passes on what the package gives, and its own failures', async () => {
    expect(await loadPeer('x', 'X', async () => 1)).toBe(1);
    const broken = loadPeer('x', 'X', () => Promise.reject(new SyntaxError('broken')));
    await expect(broken).rejects.toThrow(SyntaxError);
  });
});
