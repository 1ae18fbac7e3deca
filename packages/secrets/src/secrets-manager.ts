import { codeOf, UnsupportedError } from '@mnops/core';
import type { AuditQuery, AuditVerification, AuditVerifyOptions } from '@mnops/core/audit';
import type { CallOptions, HealthReport, HostStatus, Recoverable, SecretResolver } from '@mnops/core/spi';
import type { AccessDecision, SecretAction } from './access/policy.js';
import { ActorOperations } from './actor-operations.js';
import type { AuditLogEntry } from './audit/recorder.js';
import type { SecretsEvents } from './events.js';
import { makeRedactor, type Redactor, type RedactorOptions } from './redaction/redactor.js';
import { makeResolver } from './resolve.js';
import { RotationManager } from './rotation/rotation-manager.js';
import type { RotateOptions, RotationResult, RotationState } from './rotation/rotation-state.js';
import type { SecretConfig } from './secret-config.js';
import type { SecretOperations } from './secret-operations.js';
import { SecretsCore } from './secrets-core.js';
import { settingsOf } from './settings.js';

/** Rotations of a manager. */
export interface SecretRotations {
  /**
   * The path has a new value: generated, stored, applied, verified, promoted. The old one is revoked when its grace is
   * over, by this process or by the next that starts with this rotation.
   *
   * @throws {MnopsError} `MNOPS_SECRETS_ROTATION_FAILED` with `details.step`; `MNOPS_SECRETS_ROTATION_IN_PROGRESS`.
   */
  rotate(path: string, options?: RotateOptions): Promise<RotationResult>;
  /** Where the path's rotation stands. */
  state(path: string): Promise<RotationState>;
  /** Goes on with rotations that were cut off; without a path, with all of them. */
  resume(path?: string): Promise<RotationResult[]>;
  /** Gives a rotation up that was not promoted; `MNOPS_CORE_CONFLICT` when it was. */
  abort(path: string): Promise<RotationResult>;
}

/** The audit log of a manager. */
export interface SecretAudit {
  /** Whether entries outlive the process. */
  readonly durable: boolean;
  /** Entries of every process that shares the folder, oldest first. `target` is a path, also with `hashPaths`. */
  query(query?: AuditQuery): AsyncIterable<AuditLogEntry>;
  /** Checks every chain: anything changed, dropped, swapped or re-dated is a finding. */
  verify(options?: AuditVerifyOptions): Promise<AuditVerification>;
}

/** Counters of a manager since it was made. */
export interface SecretsStats {
  readonly hits: number;
  readonly misses: number;
  /** Values that were given past their time because the provider could not be reached. */
  readonly staleServed: number;
  /** Reads that the provider was asked for, retries included. */
  readonly providerCalls: number;
  readonly retries: number;
  readonly cacheEntries: number;
  readonly cacheBytes: number;
  readonly cacheEvictions: number;
  readonly handles: number;
  /** Leases that are kept alive. */
  readonly leases: number;
  /** Rotations that run in this process now. */
  readonly rotations: number;
}

/**
 * One place to read, write and rotate secrets, over any provider.
 *
 * Calls on the manager itself act as `access.defaultActor`. Reads and writes work without `start`, which checks that the
 * store opens, resumes rotations and begins schedules. Constructing does no I/O.
 */
export class SecretsManager extends ActorOperations implements SecretOperations, AsyncDisposable {
  readonly rotation: SecretRotations;
  readonly audit: SecretAudit;
  readonly #core: SecretsCore;
  readonly #rotations: RotationManager;
  readonly #ending: { revokeLeases: boolean };

  /** @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` with every issue at once. */
  constructor(config: SecretConfig = {}) {
    let rotations: RotationManager | undefined;
    const ending = { revokeLeases: true };
    const core: SecretsCore = new SecretsCore(
      settingsOf(config, (file) => announceKey(core, file)),
      {
        start: async () => {
          await core.opened();
          await core.recorder.ready();
          await rotations?.start();
          core.expiries.start();
        },
        drain: async (call) => {
          await Promise.all([rotations?.drain(call), ending.revokeLeases && core.leases.revokeAll(call)]);
        },
        close: async () => {
          await rotations?.close();
          await core.close();
        },
      },
    );
    super(core, core.policy.defaultActor);
    this.#core = core;
    const manager = new RotationManager(core);
    rotations = manager;
    this.rotation = {
      rotate: (path, options) => manager.rotate(path, options),
      state: (path) => manager.state(path),
      resume: (path) => manager.resume(path),
      abort: (path) => manager.abort(path),
    };
    this.audit = makeAudit(core);
    this.#rotations = manager;
    this.#ending = ending;
  }

  get status(): HostStatus {
    return this.#core.lifecycle.status;
  }

  /** The saving and restoring of the provider's data; `UnsupportedError` where the provider does not own it. */
  get recoverable(): Recoverable {
    const { recoverable, id } = this.#core.provider;
    if (recoverable !== undefined) return recoverable;
    throw new UnsupportedError(`The provider ${id} does not own its data, so it cannot be saved here.`, {
      provider: id,
    });
  }

  /** The manager is ready: the store opens with its key, unfinished rotations go on, schedules run. */
  start(options?: CallOptions): Promise<void> {
    return this.#core.lifecycle.start(options);
  }

  /**
   * The manager is stopped: steps under way had their grace time, leases are given back, queued audit records are written,
   * the provider is closed.
   *
   * @param options - `graceMs`: default 5,000. `revokeLeases`: default true; false lets credentials live to their own end.
   */
  stop(
    options: { readonly graceMs?: number | undefined; readonly revokeLeases?: boolean | undefined } = {},
  ): Promise<void> {
    this.#ending.revokeLeases = options.revokeLeases ?? true;
    return this.#core.lifecycle.stop({ graceMs: options.graceMs ?? 5_000 });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** The same calls with that actor's rights and its name in the audit log. */
  as(actor: string): SecretOperations {
    return new ActorOperations(this.#core, actor);
  }

  /** Whether the actor may do this, by which rule, and why. */
  explain(actor: string, action: SecretAction, path: string): AccessDecision {
    return this.#core.policy.explain(actor, action, path);
  }

  /** Resolves `secret://` references of other hosts with the rights of one actor. */
  resolver(options: { readonly actor: string }): SecretResolver {
    return makeResolver(new ActorOperations(this.#core, options.actor));
  }

  /** Takes the values that this manager has read or written out of text and streams. */
  redactor(options?: RedactorOptions): Redactor {
    return makeRedactor(this.#core.live, options);
  }

  /** Calls the listener for each event; the function that comes back removes it. */
  on<Name extends keyof SecretsEvents & string>(
    event: Name,
    listener: (value: SecretsEvents[Name]) => void,
  ): () => void {
    return this.#core.events.on(event, listener);
  }

  /** Whether secrets can be had now, and what is wrong. */
  async health(): Promise<HealthReport> {
    const { lifecycle, settings } = this.#core;
    const reasons = [...lifecycle.reasons];
    let status: HealthReport['status'] = 'healthy';
    try {
      lifecycle.assertUsable();
      await this.#core.opened();
      await this.#core.recorder.ready();
      this.#core.reportDamage();
    } catch (error) {
      reasons.push(error instanceof Error ? error.message : (codeOf(error) ?? 'unknown reason'));
      status = 'unhealthy';
    }
    for (const reason of lifecycle.reasons) if (!reasons.includes(reason)) reasons.push(reason);
    if (status === 'healthy' && reasons.length > 0) status = 'degraded';
    return { status, reasons, atMs: settings.clock.now() };
  }

  stats(): SecretsStats {
    const { reader, handles, leases } = this.#core;
    return {
      ...reader.stats,
      cacheEntries: reader.cache?.size ?? 0,
      cacheBytes: reader.cache?.bytes ?? 0,
      cacheEvictions: reader.cache?.evictions ?? 0,
      handles: handles.size,
      leases: leases.size,
      rotations: this.#rotations.running,
    };
  }
}

function makeAudit(core: SecretsCore): SecretAudit {
  return {
    get durable() {
      return core.recorder.durable;
    },
    query: (query) => core.recorder.query(query),
    async verify(options) {
      const log = await core.recorder.ready();
      if (log === undefined)
        throw new UnsupportedError('Auditing is off, so there is nothing to verify.', {
          remedy: 'Remove `audit: false`.',
        });
      await log.flush();
      return await log.verify(options);
    },
  };
}

/** Once, where nobody can miss it: losing this file is losing the secrets. */
function announceKey(core: SecretsCore, file: string): void {
  core.events.emit('key:created', { file });
  process.emitWarning(
    `A key for the secrets vault was made: ${file}. Keep a copy of it: without it the secrets are lost.`,
    {
      type: 'MnopsKeyCreated',
      code: 'MNOPS_KEY_CREATED',
    },
  );
}
