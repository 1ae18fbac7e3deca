import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { keyFile } from '../crypto/key-file.js';
import { passphraseKey } from '../crypto/passphrase-key.js';
import { rawKey } from '../crypto/raw-key.js';
import type { KeyWrapper } from '../spi/key-wrapper.js';
import { failingCases } from './failing-cases.js';
import { keyWrapperContract } from './key-wrapper-contract.js';

const [key, otherKey] = [randomBytes(32), randomBytes(32)];
const subject = async (wrapper: KeyWrapper) => ({ provider: wrapper, same: rawKey(key), other: rawKey(otherKey) });

keyWrapperContract({ describe, it }, 'rawKey', () => subject(rawKey(key)));

// Each flipped salt or count of iterations costs a derivation, so the wrappers of all cases are the same three.
const passphrases = ['one', 'one', 'two'].map((passphrase) => passphraseKey({ passphrase }));
keyWrapperContract({ describe, it }, 'passphraseKey', async () => {
  const [provider, same, other] = passphrases as [KeyWrapper, KeyWrapper, KeyWrapper];
  return { provider, same, other };
});

keyWrapperContract({ describe, it }, 'keyFile', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mnops-key-'));
  const options = { file: join(folder, 'key'), create: true };
  return {
    provider: keyFile(options),
    same: keyFile(options),
    other: keyFile({ ...options, file: join(folder, 'other') }),
    close: () => rm(folder, { recursive: true }),
  };
});

describe('keyWrapperContract', () => {
  const good = rawKey(key);
  const broken = (change: Partial<KeyWrapper>) =>
    failingCases((runner) => keyWrapperContract(runner, 'broken', () => subject({ ...good, ...change })));

  it.each<[string, Partial<KeyWrapper>, readonly string[]]>([
    ['nothing', {}, []],
    ['its kind', { kind: 'lease' as 'key-wrapper' }, ['is versioned data with its role and a stable id']],
    ['its key id', { keyId: '' }, ['names its key in 1 to 255 bytes, always the same']],
    [
      'its context',
      {
        wrap: (dataKey, _, call) => good.wrap(dataKey, Buffer.alloc(0), call),
        unwrap: (id, wrapped, _, call) => good.unwrap(id, wrapped, Buffer.alloc(0), call),
      },
      ['gives the data key back, also to another process', 'refuses another context'],
    ],
  ])('names the broken rule: %s', async (_, change, cases) => {
    expect(await broken(change)).toEqual(cases);
  });

  it('names a wrapper that seals nothing, repeats itself, or works on after an abort', async () => {
    const open = await broken({
      wrap: async (dataKey) => Uint8Array.from(dataKey),
      unwrap: async (_, wrapped) => Uint8Array.from(wrapped),
    });
    expect(open).toEqual([
      'gives the data key back, also to another process',
      'wraps the same key to other bytes each time, and never in the open',
      'refuses another context',
      'refuses what another key wrapped',
      'refuses every flipped byte and every cut',
      'does nothing for a call that is aborted already',
    ]);
  });
});
