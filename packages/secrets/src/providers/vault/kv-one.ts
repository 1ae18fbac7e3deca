import { UnsupportedError } from '@mnops/core';
import type {
  Call,
  SecretCapabilities,
  SecretDeleteOptions,
  SecretPutOptions,
  SecretRecord,
  SecretSelector,
  SecretVersionRecord,
  StoredSecret,
} from '@mnops/core/spi';
import {
  currentOnly,
  currentRecord,
  currentValue,
  currentVersion,
  isCurrent,
  valueVersions,
} from '../../store/current-only.js';
import { objectAt } from './answers.js';
import type { KvPlace } from './kv-answers.js';
import { listPaths } from './kv-list.js';
import { decodeValue, encodeValue } from './value-codec.js';
import { answerInvalid, providerId, vaultError } from './vault-error.js';
import { wirePath } from './wire-path.js';

/** Where the engine does not know an instant. */
const unknownMs = 0;

/** What remains of the abilities of version 2 in version 1: current values, and nothing beside them. */
export function kvOneCapabilities(two: SecretCapabilities): SecretCapabilities {
  return {
    ...two,
    ...currentOnly,
    keyValueMap: two.keyValueMap,
    tags: 'none',
  };
}

/** Secrets of a KV engine, version 1: one current value each. */
export class KvOne {
  readonly #place: KvPlace;
  /** The engine keeps no version; this one changes with the value. */
  readonly #versionOf = valueVersions();

  constructor(place: KvPlace) {
    this.#place = place;
  }

  async get(path: string, at: SecretSelector, call: Call): Promise<StoredSecret | undefined> {
    const found = await this.#read(path, call);
    if (found === undefined || !isCurrent(found.version, at)) return undefined;
    const { createdAtMs: _, ...stored } = currentValue(found.value, found.version, unknownMs);
    return { ...stored, contentType: found.contentType };
  }

  async put(path: string, value: Uint8Array, options: SecretPutOptions, call: Call): Promise<SecretVersionRecord> {
    const { stages, ifVersion, expiresAtMs, tags, contentType } = options;
    if (stages.length !== 1 || stages[0] !== 'current') throw unsupported('stages');
    if (ifVersion !== undefined) throw unsupported('compareAndSet');
    if (expiresAtMs !== undefined || tags !== undefined) throw unsupported('tags');
    // There is no place beside the data that could keep the order of its fields: they come back sorted.
    const { data } = encodeValue(value, contentType);
    const request = { method: 'POST', path: this.#at(path), body: data, operation: 'write', repeatable: true } as const;
    const { status } = await this.#place.connection.request(request, call);
    if (status !== 200 && status !== 204) throw vaultError(status, 'write');
    const version = this.#versionOf(value);
    return { version, stages: ['current'], state: 'enabled', createdAtMs: this.#place.now() };
  }

  async describe(path: string, call: Call): Promise<SecretRecord | undefined> {
    const found = await this.#read(path, call);
    if (found === undefined) return undefined;
    return { ...currentRecord(path, found.version, unknownMs), contentType: found.contentType };
  }

  async *listVersions(path: string, call: Call): AsyncGenerator<SecretVersionRecord, void, undefined> {
    const record = await this.describe(path, call);
    if (record !== undefined) yield* currentVersion(record);
  }

  async *list(prefix: string, call: Call): AsyncGenerator<SecretRecord, void, undefined> {
    yield* listPaths(this.#place, '', prefix, (path) => this.describe(path, call), call);
  }

  async delete(path: string, { versions, permanent = false }: SecretDeleteOptions, call: Call): Promise<void> {
    if (versions !== undefined) throw unsupported('versionIds');
    if (!permanent) {
      if ((await this.#read(path, call)) === undefined) return;
      throw unsupported('softDelete');
    }
    const request = { method: 'DELETE', path: this.#at(path), operation: 'delete', repeatable: true } as const;
    const { status } = await this.#place.connection.request(request, call);
    if (status !== 200 && status !== 204 && status !== 404) throw vaultError(status, 'delete');
  }

  #at(path: string): string {
    return `${this.#place.mount}/${wirePath(path)}`;
  }

  async #read(
    path: string,
    call: Call,
  ): Promise<{ readonly value: Uint8Array; readonly contentType: string; readonly version: string } | undefined> {
    const operation = 'read';
    const request = { method: 'GET', path: this.#at(path), operation, repeatable: true } as const;
    const { status, body } = await this.#place.connection.request(request, call);
    if (status === 404) return undefined;
    if (status !== 200) throw vaultError(status, operation);
    const data = objectAt(body, 'data');
    if (data === undefined) throw answerInvalid(operation, 'data');
    const { value, contentType } = decodeValue(data, undefined);
    return { value, contentType, version: this.#versionOf(value) };
  }
}

/** The refusal of what version 1 of the engine does not have; nothing is sent. */
export function unsupported(ability: string): UnsupportedError {
  return new UnsupportedError(`Version 1 of Vault's KV engine does not have the capability ${ability}.`, {
    provider: providerId,
    remedy: 'Use a mount of version 2: `vault secrets enable -version=2 kv`, or `vault kv enable-versioning`.',
    details: { ability },
  });
}

/** Version of the KV engine at the mount; `undefined` where Vault does not tell this identity. */
export async function kvVersionAt({ connection, mount }: KvPlace, call: Call): Promise<1 | 2 | undefined> {
  const operation = 'look at the mount';
  const path = `sys/internal/ui/mounts/${mount}`;
  const { status, body } = await connection.request({ method: 'GET', path, operation, repeatable: true }, call);
  const data = status === 200 ? objectAt(body, 'data') : undefined;
  if (data?.['type'] !== 'kv' && data?.['type'] !== 'generic') return undefined;
  return objectAt(data, 'options')?.['version'] === '2' ? 2 : 1;
}
