import { join } from 'node:path';
import { credential } from '@mnops/core';
import { configError } from '@mnops/core/config';
import { acquireFileLock, ensureFolder } from '@mnops/core/files';
import type { Call } from '@mnops/core/spi';
import { drError } from './codes.js';
import type { ResolvedConfig } from './config.js';
import { Repository } from './repository/repository.js';
import { copiesFolder } from './repository/repository-folder.js';

/** Opens the repository of a configuration, or makes it where its folder is absent or empty. */
export async function openOrCreate(config: ResolvedConfig, call: Call): Promise<Repository> {
  const passphrase = await credential(config.key, call);
  if (passphrase === '') {
    throw configError('DisasterRecoveryManager', [
      {
        field: 'key',
        expected: 'a passphrase',
        received: 'empty text',
        remedy: 'Give a passphrase; the format has no plain mode.',
      },
    ]);
  }
  const { repositoryFolder: folder, compression, clock } = config;
  const options = { folder, passphrase, compression, clock };
  if (Repository.state(folder) === 'repository') return await Repository.open(options);
  if (Repository.state(folder) === 'foreign') {
    throw drError('MNOPS_DR_REPOSITORY_UNSUPPORTED', `Folder ${folder} is not empty and holds no repository.`, {
      details: { folder },
    });
  }
  await ensureFolder(join(folder, copiesFolder));
  const lock = await acquireFileLock(join(folder, copiesFolder, 'create.lock'), { purpose: 'create repository' });
  try {
    // Another process may have made it while this one waited.
    if (Repository.state(folder) === 'repository') return await Repository.open(options);
    return await Repository.create(options);
  } finally {
    await lock.release();
  }
}
