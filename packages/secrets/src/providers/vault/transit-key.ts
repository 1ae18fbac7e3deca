import { coreError } from '@mnops/core';
import { textSchema } from '@mnops/core/config';
import type { KeyWrapper } from '@mnops/core/spi';
import * as v from 'valibot';
import { objectAt } from './answers.js';
import { VaultConnection } from './connection.js';
import { checkVaultOptions, mountSchema, type VaultConnectionOptions } from './options.js';
import { answerInvalid, vaultError } from './vault-error.js';
import { wirePath, wireSegment } from './wire-path.js';

/** A key of Vault's transit engine, and how to reach it. */
export interface VaultTransitKeyOptions extends VaultConnectionOptions {
  /** Name of the key. It must exist, with an authenticated cipher such as `aes256-gcm96`, and no derivation. */
  readonly key: string;
  /** Where the transit engine is. Default `transit`. */
  readonly mount?: string | undefined;
}

const ownEntries = {
  key: v.pipe(
    textSchema,
    v.maxBytes(100),
    v.check((key) => !key.includes('..') && key !== '.' && !key.includes('/'), 'a name without / and ..'),
  ),
  mount: v.optional(v.pipe(mountSchema, v.maxBytes(100))),
};

/** Vault reads `v0` as `v1` and base64 with surplus bits as if they were not there: only the one right form is taken. */
const ciphertextForm = /^vault:v([1-9]\d{0,9}):([A-Za-z0-9+/]+={0,2})$/;

/**
 * Wraps data keys with a key that never leaves Vault: `encryptedFile({ file, key: vaultTransitKey({ … }) })` then needs
 * Vault to be opened, and the policy of Vault decides who may. Rotating the key in Vault is fine: what older versions
 * wrapped can be unwrapped until `min_decryption_version` says otherwise.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`
 */
export function vaultTransitKey(options: VaultTransitKeyOptions): KeyWrapper {
  checkVaultOptions('vaultTransitKey', ownEntries, options);
  const { key, mount = 'transit' } = options;
  const connection = new VaultConnection(options);
  const id = 'vault-transit';
  const keyId = `${mount}/${key}`;
  const path = (action: string): string => `${wirePath(mount)}/${action}/${wireSegment(key)}`;
  return {
    specVersion: 1,
    kind: 'key-wrapper',
    id,
    keyId,
    open: (call) => connection.open(call),
    close: () => connection.close(),
    async wrap(dataKey, context, call) {
      call.signal.throwIfAborted();
      const operation = 'encrypt';
      const body = { plaintext: base64(dataKey), associated_data: base64(context) };
      const request = { method: 'POST', path: path(operation), body, operation, repeatable: true } as const;
      const { status, body: answer } = await connection.request(request, call);
      if (status !== 200) throw status === 400 || status === 404 ? keyUnusable(keyId) : vaultError(status, operation);
      const ciphertext = objectAt(answer, 'data')?.['ciphertext'];
      if (typeof ciphertext !== 'string' || !isCanonical(ciphertext)) throw answerInvalid(operation, 'data.ciphertext');
      return Buffer.from(ciphertext, 'latin1');
    },
    async unwrap(wrappedBy, wrapped, context, call) {
      call.signal.throwIfAborted();
      if (wrappedBy !== keyId) throw otherKey(wrappedBy, keyId);
      const ciphertext = Buffer.from(wrapped).toString('latin1');
      if (!isCanonical(ciphertext)) throw damaged();
      const operation = 'decrypt';
      const body = { ciphertext, associated_data: base64(context) };
      const request = { method: 'POST', path: path(operation), body, operation, repeatable: true } as const;
      const { status, body: answer } = await connection.request(request, call);
      if (status === 400 || status === 404) throw damaged();
      if (status !== 200) throw vaultError(status, operation);
      const plaintext = objectAt(answer, 'data')?.['plaintext'];
      if (typeof plaintext !== 'string') throw answerInvalid(operation, 'data.plaintext');
      return Buffer.from(plaintext, 'base64');
    },
  };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

function isCanonical(ciphertext: string): boolean {
  const encoded = ciphertextForm.exec(ciphertext)?.[2];
  return encoded !== undefined && Buffer.from(encoded, 'base64').toString('base64') === encoded;
}

function damaged(): Error {
  const message = 'Vault did not unwrap the key: it was changed, wrapped by another key or for another purpose.';
  return coreError('MNOPS_CORE_INTEGRITY', message, { provider: 'vault-transit' });
}

function otherKey(wrappedBy: string, keyId: string): Error {
  return coreError('MNOPS_CORE_KEY_INVALID', `The data was wrapped by ${wrappedBy}, not by ${keyId}.`, {
    provider: 'vault-transit',
  });
}

function keyUnusable(keyId: string): Error {
  return coreError('MNOPS_CORE_KEY_INVALID', `Vault has no key at ${keyId} that encrypts with associated data.`, {
    provider: 'vault-transit',
    remedy: 'Create it: `vault write -f transit/keys/<name>`.',
  });
}
