import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { drError } from '../codes.js';
import type { Envelope, MasterKey } from './envelope.js';
import type { RepositoryFinding } from './finding.js';
import { openKeyFile } from './key-file.js';
import { copiesFolder, type RepositoryFolder } from './repository-folder.js';

/** The repository's own facts. */
export interface RepositoryConfig {
  readonly version: number;
  /** 32 random bytes as hex. */
  readonly id: string;
  readonly chunker_polynomial: string;
}

/** An opened key and what was found damaged on the way. */
export interface UnlockedKey {
  readonly key: MasterKey;
  readonly keyId: string;
  readonly findings: readonly RepositoryFinding[];
}

/** Opens the first key file that the passphrase fits; a damaged one is replaced by its copy. */
export async function unlock(folder: RepositoryFolder, passphrase: string): Promise<UnlockedKey> {
  const findings: RepositoryFinding[] = [];
  const copies = folder.topNames().includes(copiesFolder) ? folder.namesIn(join(copiesFolder, 'keys')) : [];
  let sound = 0;
  for (const id of [...new Set([...folder.list('keys'), ...copies])]) {
    const bytes = wholeKeyFile(folder, id, findings);
    if (bytes === undefined) continue;
    const outcome = await openKeyFile(bytes, passphrase);
    if (typeof outcome === 'object') return { key: outcome, keyId: id, findings };
    if (outcome === 'wrong') sound += 1;
    else findings.push(damagedKey(id, false));
  }
  if (sound > 0) {
    throw drError(
      'MNOPS_DR_WRONG_KEY',
      `The passphrase opens none of the ${sound} whole key files in ${folder.path}.`,
      {
        details: { folder: folder.path, keyFiles: sound },
      },
    );
  }
  throw drError('MNOPS_DR_KEY_FILE_DAMAGED', `No key file in ${folder.path} is whole.`, {
    details: { folder: folder.path, findings },
  });
}

function wholeKeyFile(folder: RepositoryFolder, id: string, findings: RepositoryFinding[]): Buffer | undefined {
  const matches = (bytes: Buffer | undefined): bytes is Buffer =>
    bytes !== undefined && createHash('sha256').update(bytes).digest('hex') === id;
  const bytes = folder.read(folder.nameOf('keys', id));
  if (matches(bytes)) return bytes;
  const copy = folder.read(join(copiesFolder, 'keys', id));
  findings.push(damagedKey(id, matches(copy)));
  return matches(copy) ? copy : undefined;
}

function damagedKey(id: string, copied: boolean): RepositoryFinding {
  const name = join('keys', id);
  return {
    kind: 'key',
    severity: copied ? 'warning' : 'error',
    object: name,
    message: copied ? 'The key file is missing or damaged; its copy was used.' : 'The key file is missing or damaged.',
    remedy: copied ? `Copy ${join(copiesFolder, name)} over it.` : 'Bring it back from another copy of the repository.',
  };
}

/** The configuration, from its file or the copy, and what was found damaged on the way. */
export function readConfig(
  folder: RepositoryFolder,
  sealed: Envelope,
): { readonly config: RepositoryConfig | undefined; readonly findings: readonly RepositoryFinding[] } {
  const config = parseConfig(sealed, folder.read('config'));
  if (config !== undefined) return { config, findings: [] };
  const copy = parseConfig(sealed, folder.read(join(copiesFolder, 'config')));
  const finding: RepositoryFinding = {
    kind: 'config',
    severity: copy === undefined ? 'error' : 'warning',
    object: 'config',
    message: `The configuration is missing or damaged${copy === undefined ? '' : '; its copy was used'}.`,
    remedy:
      copy === undefined
        ? 'Restoring works; to back up again, bring the file back from another copy of the repository.'
        : `Copy ${join(copiesFolder, 'config')} over it.`,
  };
  return { config: copy, findings: [finding] };
}

function parseConfig(sealed: Envelope, bytes: Buffer | undefined): RepositoryConfig | undefined {
  const plain = bytes === undefined ? undefined : sealed.open(bytes);
  if (plain === undefined) return undefined;
  try {
    const config = JSON.parse(plain.toString('utf8')) as RepositoryConfig;
    return typeof config.version === 'number' && /^[0-9a-f]{64}$/.test(config.id) ? config : undefined;
  } catch {
    return undefined;
  }
}
