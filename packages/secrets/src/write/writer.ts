import { randomUUID } from 'node:crypto';
import { coreError, MnopsError, UnsupportedError } from '@mnops/core';
import type { Call, CallOptions, SecretRecord, SecretValue } from '@mnops/core/spi';
import type { SecretInput, SecretMetadata, SecretVersion, WriteOptions } from '../secret-operations.js';
import { toSecretValue } from '../secret-value.js';
import type { OperationFacts, SecretsCore } from '../secrets-core.js';
import { assertRecoveryDays, assertWritable, encodeInput, isValidDate, refusedField } from './input.js';
import { toMetadata, toVersion } from './metadata.js';

const updateTries = 5;

/** Options of a put with its condition; `null`: only where nothing is. */
export interface ConditionalWrite extends WriteOptions {
  readonly ifVersion?: string | null | undefined;
}

/** Writes for one actor: each call is one operation in rules, events and the audit log. */
export class SecretWriter {
  readonly #core: SecretsCore;
  readonly #actor: string;

  constructor(core: SecretsCore, actor: string) {
    this.#core = core;
    this.#actor = actor;
  }

  async create(path: string, value: SecretInput, options: WriteOptions): Promise<SecretMetadata> {
    this.#require('compareAndSet');
    return await this.#core.operate(this.#actor, 'create', path, (facts) =>
      this.#store(path, value, { ...options, ifVersion: null }, facts),
    );
  }

  async put(
    path: string,
    value: SecretInput,
    options: WriteOptions & { readonly ifVersion?: string | undefined },
  ): Promise<SecretMetadata> {
    if (options.ifVersion !== undefined) this.#require('compareAndSet');
    const { policy } = this.#core;
    // An upsert is whichever of the two it turns out to be; with both rights nobody needs to look.
    const [mayCreate, mayUpdate] = (['create', 'update'] as const).map(
      (action) => policy.explain(this.#actor, action, path).allowed,
    );
    if (mayCreate === true && mayUpdate !== true) return await this.create(path, value, options);
    return await this.#core.operate(this.#actor, 'update', path, async (facts) => {
      if (mayCreate !== true) await this.#existing(path, options);
      return await this.#store(path, value, options, facts);
    });
  }

  async update(path: string, next: (now: SecretValue) => SecretInput, options: WriteOptions): Promise<SecretMetadata> {
    this.#require('compareAndSet');
    return await this.#core.operate(this.#actor, 'update', path, async (facts) => {
      this.#core.policy.assertAllowed(this.#actor, 'read', path);
      for (let attempt = 1; ; attempt += 1) {
        const { value: now } = await this.#core.reader.read(path, { ...callOptions(options), maxAgeMs: 0 });
        if (now === undefined) throw notFound(path);
        try {
          return await this.#store(path, next(now), { ...options, ifVersion: now.version }, facts);
        } catch (error) {
          if (!MnopsError.is(error, 'MNOPS_CORE_CONFLICT') || attempt >= updateTries) throw error;
        }
      }
    });
  }

  async setExpiry(path: string, at: Date | null, options: CallOptions): Promise<SecretMetadata> {
    if (at !== null && !isValidDate(at)) throw refusedField('at', 'a valid Date or null');
    const { annotate } = this.#core.provider;
    if (annotate === undefined) throw this.#unsupported('annotations');
    return await this.#core.operate(this.#actor, 'update', path, async (facts) => {
      const expiresAtMs = at === null ? null : at.getTime();
      return await this.#change(path, options, facts, (call) =>
        annotate.call(this.#core.provider, path, { expiresAtMs }, call),
      );
    });
  }

  async rollback(
    path: string,
    options: CallOptions & { readonly toVersion?: string | undefined },
  ): Promise<SecretMetadata> {
    if (this.#core.provider.capabilities.versionIds === 'none') throw this.#unsupported('versionIds');
    this.#require('compareAndSet');
    return await this.#core.operate(this.#actor, 'rollback', path, async (facts) => {
      const record = await this.#existing(path, options);
      const target = options.toVersion ?? record.stages['previous'];
      if (target === undefined) throw notFound(path, 'previous version');
      const old = await this.#core.reader.read(path, { ...callOptions(options), version: target, maxAgeMs: 0 });
      if (old.value === undefined) throw notFound(path, `version ${target}`);
      const { contentType } = old.value;
      const write = { ...callOptions(options), contentType, ifVersion: record.version ?? null };
      return await this.#store(path, old.value.bytes(), write, facts);
    });
  }

  async delete(
    path: string,
    options: CallOptions & {
      readonly versions?: readonly string[] | undefined;
      readonly permanent?: boolean | undefined;
      readonly recoveryDays?: number | undefined;
    },
  ): Promise<void> {
    const { provider } = this.#core;
    const { versions, permanent = false, recoveryDays } = options;
    assertRecoveryDays(provider, recoveryDays, permanent);
    if (!permanent && provider.capabilities.softDelete === 'none') throw this.#unsupported('softDelete');
    if (versions?.length === 0) return;
    await this.#core.operate(this.#actor, 'delete', path, async () => {
      this.#core.reader.invalidate(path);
      try {
        await this.#core.provide(options, (call) => provider.delete(path, { versions, permanent, recoveryDays }, call));
      } finally {
        this.#core.expiries.forget(path);
        await this.#core.changed(path);
      }
    });
  }

  async restore(
    path: string,
    options: CallOptions & { readonly versions?: readonly string[] | undefined },
  ): Promise<SecretMetadata> {
    const { provider } = this.#core;
    const { restore } = provider;
    if (restore === undefined) throw this.#unsupported('softDelete');
    const { versions } = options;
    return await this.#core.operate(this.#actor, 'restore', path, (facts) =>
      this.#change(path, options, facts, (call) => restore.call(provider, path, { versions }, call)),
    );
  }

  describe(path: string, options: CallOptions): Promise<SecretMetadata | undefined> {
    return this.#core.operate(this.#actor, 'list', path, async (facts) => {
      const record = await this.#core.provide(options, (call) => this.#core.provider.describe(path, call));
      facts.version = record?.version;
      if (record !== undefined) this.#core.expiries.noted(record);
      return record === undefined ? undefined : toMetadata(this.#core.provider, record);
    });
  }

  async *versions(path: string, options: CallOptions): AsyncGenerator<SecretVersion, void> {
    const { provider } = this.#core;
    const all = await this.#core.operate(this.#actor, 'list', path, () =>
      this.#core.provide(options, async (call) => {
        const versions: SecretVersion[] = [];
        for await (const version of provider.listVersions(path, call)) versions.push(toVersion(version));
        return versions;
      }),
    );
    yield* all;
  }

  async #store(
    path: string,
    value: SecretInput,
    options: ConditionalWrite,
    facts: OperationFacts,
  ): Promise<SecretMetadata> {
    const { provider } = this.#core;
    if (!provider.capabilities.write) throw this.#unsupported('write');
    const { stage = 'current', expiresAt, tags, ifVersion } = options;
    if (stage !== 'current' && provider.capabilities.stages === 'none') throw this.#unsupported('stages');
    const input = encodeInput(value);
    assertWritable(provider, path, input, options);
    const contentType = options.contentType ?? input.contentType;
    // Made before the first try, so that a retry after a lost answer is the same version.
    const put = {
      token: randomUUID(),
      stages: [stage],
      ifVersion,
      expiresAtMs: expiresAt?.getTime(),
      contentType,
      tags,
    };
    const live = toSecretValue(path, provider.id, { value: input.bytes, version: `write:${put.token}`, stages: [] });
    this.#core.live.add(live);
    return await this.#change(path, options, facts, async (call) => {
      const written = await provider.put(path, input.bytes, put, call);
      facts.version = written.version;
    });
  }

  /** Runs a change; what was read before does not count any more, whether it succeeded or its answer was lost. */
  async #change(
    path: string,
    options: CallOptions,
    facts: OperationFacts,
    run: (call: Call) => Promise<void>,
  ): Promise<SecretMetadata> {
    const { provider } = this.#core;
    this.#core.reader.invalidate(path);
    let record: SecretRecord | undefined;
    try {
      await this.#core.provide(options, run);
      record = await this.#core.provide(options, (call) => provider.describe(path, call));
    } finally {
      await this.#core.changed(path);
    }
    if (record === undefined) throw notFound(path);
    facts.version ??= record.version;
    this.#core.expiries.noted(record);
    return toMetadata(provider, record);
  }

  async #existing(path: string, options: CallOptions): Promise<SecretRecord> {
    const record = await this.#core.provide(callOptions(options), (call) => this.#core.provider.describe(path, call));
    if (record === undefined) throw notFound(path);
    return record;
  }

  #require(ability: 'compareAndSet'): void {
    if (this.#core.provider.capabilities[ability] === 'none') throw this.#unsupported(ability);
  }

  #unsupported(ability: string): UnsupportedError {
    const { id } = this.#core.provider;
    return new UnsupportedError(`The provider ${id} does not have the capability ${ability}.`, {
      provider: id,
      details: { ability },
    });
  }
}

function callOptions({ signal, timeoutMs }: CallOptions): CallOptions {
  return { signal, timeoutMs };
}

function notFound(path: string, what?: string): Error {
  const message = what === undefined ? `There is no secret ${path}.` : `The secret ${path} has no ${what}.`;
  return coreError('MNOPS_CORE_NOT_FOUND', message, { details: { path } });
}
