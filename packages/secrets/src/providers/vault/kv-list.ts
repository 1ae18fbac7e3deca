import { coreError } from '@mnops/core';
import type { Call, SecretRecord } from '@mnops/core/spi';
import { objectAt } from './answers.js';
import type { KvPlace } from './kv-answers.js';
import { answerInvalid, providerId, vaultError } from './vault-error.js';
import { wirePath } from './wire-path.js';

/** Secrets that one list may find, and folders that it may open. */
const maxListed = 100_000;
/** Secrets whose metadata is read at the same time. */
const describedAtOnce = 8;

/**
 * Secrets below a prefix, sorted by path: one request for each folder and each secret.
 *
 * @param part - Part of the mount that lists, ending with `/`, or nothing.
 */
export async function* listPaths(
  place: KvPlace,
  part: string,
  prefix: string,
  describe: (path: string) => Promise<SecretRecord | undefined>,
  call: Call,
): AsyncGenerator<SecretRecord, void, undefined> {
  const paths: string[] = [];
  const folders = [prefix.slice(0, prefix.lastIndexOf('/') + 1)];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const name of await namesIn(place, part, folder, call)) {
      const path = `${folder}${name}`;
      const inside = path.startsWith(prefix) || (name.endsWith('/') && prefix.startsWith(path));
      if (inside) (name.endsWith('/') ? folders : paths).push(path);
    }
    if (paths.length + folders.length > maxListed) throw tooMany();
  }
  paths.sort();
  for (let at = 0; at < paths.length; at += describedAtOnce) {
    const some = paths.slice(at, at + describedAtOnce);
    for (const record of await Promise.all(some.map((path) => describe(path)))) {
      if (record !== undefined) yield record;
    }
  }
}

async function namesIn(place: KvPlace, part: string, folder: string, call: Call): Promise<readonly string[]> {
  const operation = 'list';
  const below = folder === '' ? '' : `${wirePath(folder.slice(0, -1))}/`;
  const answer = await place.connection.request(
    // Some proxies do not let the verb LIST through; this is the same.
    { method: 'GET', path: `${place.mount}/${part}${below}?list=true`, operation, repeatable: true },
    call,
  );
  if (answer.status === 404) return [];
  if (answer.status !== 200) throw vaultError(answer.status, operation);
  const keys = objectAt(answer.body, 'data')?.['keys'];
  if (!Array.isArray(keys)) throw answerInvalid(operation, 'data.keys');
  // Names that only another tool can have made cannot be named here either.
  return keys.filter(
    (key): key is string => typeof key === 'string' && key !== '' && !key.includes('..') && key !== '/',
  );
}

function tooMany(): Error {
  return coreError('MNOPS_CORE_TOO_LARGE', `${providerId}: the list has over ${maxListed} secrets.`, {
    provider: providerId,
    operation: 'list',
    details: { maxListed },
    remedy: 'List a narrower prefix.',
  });
}
