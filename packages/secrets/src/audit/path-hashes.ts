import { createHmac, randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { codeOf, coreError, MnopsError, storageError } from '@mnops/core';
import { ensureFolder, writeFileOnce } from '@mnops/core/files';

/** Bytes of a key for paths. */
export const pathKeyBytes = 32;

const label = 'mnops-audit-paths-1';
const maxRemembered = 1_024;

/** Turns paths into names that only a holder of the key can match with a path. */
export class PathHashes {
  readonly #key: Uint8Array;
  readonly #remembered = new Map<string, string>();

  constructor(key: Uint8Array) {
    this.#key = Uint8Array.from(key);
  }

  /** `hmac-sha256:` and 64 hexadecimal digits, always the same for one path and key. */
  of(path: string): string {
    const known = this.#remembered.get(path);
    if (known !== undefined) return known;
    const hashed = `hmac-sha256:${createHmac('sha256', this.#key).update(path).digest('hex')}`;
    if (this.#remembered.size >= maxRemembered) this.#remembered.clear();
    this.#remembered.set(path, hashed);
    return hashed;
  }
}

/**
 * The key in a file; a new random one where the file is absent. The file is readable by its owner only.
 *
 * @throws {MnopsError} `MNOPS_CORE_KEY_INVALID` when it holds something else or others may read it,
 * `MNOPS_CORE_STORAGE_FAILED`.
 */
export async function pathKeyAt(file: string): Promise<Uint8Array> {
  const found = await readKey(file);
  if (found !== undefined) return found;
  await ensureFolder(dirname(file));
  // Unless another process was faster: its key is the key.
  await writeFileOnce(file, `${label}:${randomBytes(pathKeyBytes).toString('base64url')}\n`, { mode: 0o600 });
  const made = await readKey(file);
  if (made === undefined) throw storageError('read', file, { code: 'ENOENT' });
  return made;
}

async function readKey(file: string): Promise<Uint8Array | undefined> {
  try {
    const handle = await open(file, 'r');
    try {
      const { mode, size } = await handle.stat();
      if (process.platform !== 'win32' && (mode & 0o077) !== 0)
        throw invalid(file, 'others may read it', 'Run `chmod 600` on it.');
      const [name, encoded = ''] = size > 4_096 ? [] : (await handle.readFile('latin1')).trim().split(':');
      const key = Buffer.from(encoded, 'base64url');
      if (name === label && key.length === pathKeyBytes) return Uint8Array.from(key);
      throw invalid(
        file,
        'it holds no whole key',
        'Restore it from a backup, or remove it: older records then match no path.',
      );
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw MnopsError.is(error) ? error : storageError('read', file, error);
  }
}

function invalid(file: string, why: string, remedy: string): Error {
  return coreError('MNOPS_CORE_KEY_INVALID', `The key for paths of the audit log ${file} cannot be used: ${why}.`, {
    remedy,
    details: { path: file },
  });
}
