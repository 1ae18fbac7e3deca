import { randomUUID } from 'node:crypto';
import { codeOf, coreError, MnopsError, withCall } from '@mnops/core';
import { traced } from '@mnops/core/operations';
import type {
  AppliedRotationContext,
  Call,
  RotationContext,
  SecretProvider,
  SecretSelector,
  SecretValue,
} from '@mnops/core/spi';
import { secretsError } from '../codes.js';
import { toSecretValue } from '../secret-value.js';
import type { SecretsCore } from '../secrets-core.js';
import type { RotationSettings } from '../settings.js';
import { type Grace, graceAnnotation, writeGrace } from './grace.js';
import type { Journal, JournalRecord, JournalState, RotationOutcome, RotationStep } from './journal.js';
import { sanitizedCause } from './sanitized-cause.js';

/** What one run works with. */
export interface RotationRunOptions {
  readonly core: SecretsCore;
  readonly settings: RotationSettings;
  readonly journal: Journal;
  /** Fencing token of the lease. */
  readonly fence: bigint;
  /** Aborts when the lease is lost, the manager stops or the caller gave up; the journal then says where to go on. */
  readonly signal: AbortSignal;
  /** Overrides the configured grace for a rotation that begins in this run. */
  readonly graceMs?: number | undefined;
}

/** Carries one rotation from where its journal stands to its end, or to its grace. Every step may be repeated. */
export class RotationRun {
  readonly #core: SecretsCore;
  readonly #provider: SecretProvider;
  readonly #settings: RotationSettings;
  readonly #journal: Journal;
  readonly #options: RotationRunOptions;

  constructor(options: RotationRunOptions) {
    this.#options = options;
    this.#core = options.core;
    this.#provider = options.core.provider;
    this.#settings = options.settings;
    this.#journal = options.journal;
  }

  /** Begins a new rotation; the one before must be closed. */
  async begin(): Promise<void> {
    const { path, strategy, graceMs, propagationMs } = this.#settings;
    const current = await this.#read({});
    if (current === undefined)
      throw coreError('MNOPS_CORE_NOT_FOUND', `There is no secret ${path} to rotate.`, { details: { path } });
    // Before anything is recorded: without it the rotation could neither go on nor back.
    await this.#readAdmin();
    const token = randomUUID();
    this.#core.events.emit('rotation:started', { path, token });
    await this.#done('intent-recorded', token, {
      path,
      oldVersion: current.version,
      strategy,
      graceMs: this.#options.graceMs ?? graceMs,
      propagationMs,
    });
  }

  /** Goes on until the rotation is closed or its grace lasts. */
  async advance(options: { readonly endGrace?: boolean | undefined } = {}): Promise<void> {
    for (let state = this.#journal.state; state !== undefined && state.step !== 'closed'; state = this.#journal.state) {
      this.#options.signal.throwIfAborted();
      if (state.step === 'grace-recorded' && options.endGrace !== true) {
        if (this.#core.settings.clock.now() < (state.revokeAtMs ?? 0)) return;
      }
      await this.#step(state);
    }
  }

  /** Gives a rotation up that was not promoted. */
  async abort(): Promise<void> {
    const state = this.#journal.state;
    if (state === undefined || state.step === 'closed') return;
    const promoted: readonly string[] = ['promoted', 'grace-recorded', 'revoked'];
    if (promoted.includes(state.step) || (await this.#isPromoted(state))) {
      throw coreError('MNOPS_CORE_CONFLICT', `The rotation of ${this.#settings.path} is promoted already.`, {
        remedy: 'Rotate again; the new value is in use.',
        details: { path: this.#settings.path, step: state.step },
      });
    }
    if (state.step !== 'discarding') await this.#append('discarding', state.token, { outcome: 'aborted' });
    await this.advance();
  }

  async #step(state: JournalState): Promise<void> {
    const { path, rotator } = this.#settings;
    const next = following[state.step];
    await traced(
      'mnops:secrets:rotate-step',
      { provider: this.#provider.id, rotator: rotator.id, path, step: next },
      async (context) => {
        if (state.version !== undefined) context['version'] = state.version;
        await this.#run(state);
        context['outcome'] = 'ok';
      },
    );
  }

  async #run(state: JournalState): Promise<void> {
    const { token } = state;
    switch (state.step) {
      case 'intent-recorded':
        return await this.#orDiscard(state, 'store-pending', () => this.#storePending(state));
      case 'pending-stored':
        return await this.#orDiscard(state, 'apply', async () => {
          const context = await this.#context(state);
          await this.#ask((call) => this.#settings.rotator.apply({ ...context, call }));
          await this.#done('applied', token);
        });
      case 'applied':
        return await this.#orDiscard(state, 'verify', async () => {
          const context = await this.#context(state);
          await this.#ask((call) => this.#settings.rotator.verify({ ...context, call }));
          await this.#done('verified', token);
        });
      case 'verified':
        return await this.#promote(state);
      case 'promoted':
        return await this.#recordGrace(state);
      case 'grace-recorded':
        return await this.#revoke(state);
      case 'revoked':
        await this.#annotateGrace(undefined);
        return await this.#close(token, 'completed');
      case 'discarding':
        return await this.#discard(state);
    }
  }

  async #storePending(state: JournalState): Promise<void> {
    const { rotator, path } = this.#settings;
    const current = await this.#read({ version: state.oldVersion });
    const now = await this.#read({});
    if (current === undefined || now?.version !== state.oldVersion) throw superseded(path);
    const context = await this.#generationContext(state, current);
    const generated = await this.#ask((call) => rotator.generate({ ...context, call }));
    const value = typeof generated === 'string' ? Buffer.from(generated) : generated;
    this.#core.live.add(
      toSecretValue(path, this.#provider.id, { value, version: `pending:${state.token}`, stages: [] }),
    );
    // Before the new value is anywhere: from now on every reader keeps accepting the old one until it is told a time.
    await this.#annotateGrace({ version: state.oldVersion, untilMs: Number.POSITIVE_INFINITY });
    // The token makes a repeated put the same version, with the value of the first.
    const put = { token: state.token, stages: ['pending'], contentType: current.contentType };
    const { version } = await this.#provide((call) => this.#provider.put(path, value, put, call));
    await this.#done('pending-stored', state.token, { version });
  }

  async #promote(state: JournalState): Promise<void> {
    const { path } = this.#settings;
    if (!(await this.#isPromoted(state))) {
      // In full also after a restart: how much of it had passed, a clock that was set meanwhile could not tell.
      await this.#core.settings.clock.sleep(state.propagationMs, this.#options.signal);
      const move = { from: state.oldVersion, to: state.version ?? null };
      try {
        await this.#provide(async (call) => this.#provider.setStage?.(path, 'current', move, call));
      } catch (error) {
        // A lost answer and a write by somebody else look alike: what stands there now decides.
        if (!MnopsError.is(error, 'MNOPS_CORE_CONFLICT')) throw error;
        if (!(await this.#isPromoted(state))) return await this.#startDiscard(state, 'promote', superseded(path));
      }
    }
    await this.#core.changed(path);
    await this.#done('promoted', state.token);
  }

  async #recordGrace(state: JournalState): Promise<void> {
    const revokeAtMs = this.#core.settings.clock.now() + state.graceMs;
    await this.#annotateGrace({ version: state.oldVersion, untilMs: revokeAtMs });
    await this.#done('grace-recorded', state.token, { revokeAtMs });
  }

  async #revoke(state: JournalState): Promise<void> {
    try {
      const context = await this.#contextIfThere(state);
      if (context !== undefined) await this.#ask((call) => this.#settings.rotator.revoke({ ...context, call }));
    } catch (error) {
      throw this.#unlessCutOff('revoke', error);
    }
    await this.#done('revoked', state.token);
  }

  async #discard(state: JournalState): Promise<void> {
    const { path, rotator } = this.#settings;
    try {
      if (state.version !== undefined) {
        const { version } = state;
        const context = await this.#contextIfThere(state);
        if (context !== undefined) await this.#ask(async (call) => rotator.discard?.({ ...context, call }));
        await this.#provide(async (call) => {
          const record = await this.#provider.describe(path, call);
          if (record?.stages['pending'] === version)
            await this.#provider.setStage?.(path, 'pending', { from: version, to: null }, call);
          await this.#provider.delete(path, { versions: [version], permanent: true }, call);
        });
      }
      await this.#annotateGrace(undefined);
    } catch (error) {
      throw this.#unlessCutOff('discard', error);
    }
    await this.#core.changed(path);
    await this.#close(state.token, state.outcome ?? 'failed');
  }

  /** Runs a step before promotion: what fails is discarded, what is interrupted is left to be resumed. */
  async #orDiscard(state: JournalState, step: string, run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (error) {
      const interrupted = this.#options.signal.aborted || codeOf(error) === 'MNOPS_CORE_AUDIT_UNAVAILABLE';
      if (interrupted) throw error;
      await this.#startDiscard(state, step, error);
    }
  }

  async #startDiscard(state: JournalState, step: string, error: unknown): Promise<never> {
    const outcome = MnopsError.is(error, 'MNOPS_CORE_CONFLICT') ? 'superseded' : 'failed';
    await this.#append('discarding', state.token, { outcome, failedStep: step, code: codeOf(error) });
    const failure = this.#failure(step, error);
    await this.advance();
    throw failure;
  }

  /** The rotator's view. The values are those that the provider gives back, not those that were sent. */
  async #context(state: JournalState): Promise<Omit<AppliedRotationContext, 'call'>> {
    const context = await this.#contextIfThere(state);
    if (context !== undefined) return context;
    const { path } = this.#settings;
    throw coreError('MNOPS_CORE_NOT_FOUND', `A version of ${path} that its rotation needs is gone.`, {
      details: { path },
    });
  }

  /** `undefined` when a version was destroyed by somebody: it cannot be shown to the rotator any more. */
  async #contextIfThere(state: JournalState): Promise<Omit<AppliedRotationContext, 'call'> | undefined> {
    const [current, pending] = await Promise.all([
      this.#readIfThere({ version: state.oldVersion }),
      this.#readIfThere({ version: state.version }),
    ]);
    if (current === undefined || pending === undefined) return undefined;
    return { ...(await this.#generationContext(state, current)), pending };
  }

  async #generationContext(state: JournalState, current: SecretValue): Promise<Omit<RotationContext, 'call'>> {
    const { token, strategy = 'single-user' } = state;
    const previous = await this.#readIfThere({ stage: 'previous' });
    const admin = await this.#readAdmin();
    return {
      path: this.#settings.path,
      token,
      strategy,
      current,
      ...(previous === undefined || previous.version === current.version ? {} : { previous }),
      ...(admin === undefined ? {} : { admin }),
    };
  }

  /** The secret that the rotator makes its changes with, as it is now: it may be rotated itself. */
  async #readAdmin(): Promise<SecretValue | undefined> {
    const { admin: path } = this.#settings.rotator;
    if (path === undefined) return undefined;
    const admin = await this.#provide((call) => this.#core.reader.fetch(path, {}, call));
    const code = admin === undefined ? 'MNOPS_CORE_NOT_FOUND' : undefined;
    await this.#core.recorder.record({ actor: 'host', operation: 'read', path, version: admin?.version, code });
    if (admin !== undefined) return admin;
    const { path: rotated } = this.#settings;
    throw coreError('MNOPS_CORE_NOT_FOUND', `There is no secret ${path}, with which ${rotated} is rotated.`, {
      remedy: 'Store the credential that the rotator makes its changes with under this path.',
      details: { path },
    });
  }

  async #isPromoted(state: JournalState): Promise<boolean> {
    const { path } = this.#settings;
    const record = await this.#provide((call) => this.#provider.describe(path, call));
    return state.version !== undefined && record?.version === state.version;
  }

  #read(at: SecretSelector): Promise<SecretValue | undefined> {
    return this.#provide((call) => this.#core.reader.fetch(this.#settings.path, at, call));
  }

  #readIfThere(at: SecretSelector): Promise<SecretValue | undefined> {
    return this.#read(at).catch((error: unknown) => {
      if (MnopsError.is(error, 'MNOPS_SECRETS_VERSION_UNAVAILABLE') || MnopsError.is(error, 'MNOPS_CORE_NOT_FOUND'))
        return undefined;
      throw error;
    });
  }

  async #annotateGrace(grace: Grace | undefined): Promise<void> {
    const { path } = this.#settings;
    const annotations = { [graceAnnotation]: grace === undefined ? null : writeGrace(grace) };
    await this.#provide(async (call) => this.#provider.annotate?.(path, { annotations }, call));
    this.#core.reader.invalidate(path);
  }

  #provide<T>(run: (call: Call) => Promise<T>): Promise<T> {
    return this.#core.provide({ signal: this.#options.signal }, run);
  }

  /** One call of the rotator under its own deadline. */
  #ask<T>(run: (call: Call) => Promise<T>): Promise<T> {
    const { stepTimeoutMs: timeoutMs } = this.#settings;
    return withCall({ signal: this.#options.signal, timeoutMs, clock: this.#core.settings.clock }, run);
  }

  /** Records a step as done: first in the audit log, then in the journal, so that a resumed rotation has no gap in it. */
  async #done(step: RotationStep, token: string, facts: Partial<JournalRecord> = {}): Promise<void> {
    this.#options.signal.throwIfAborted();
    const { path } = this.#settings;
    const version = facts.version ?? this.#journal.state?.version;
    await this.#core.recorder.record({ actor: 'host', operation: `rotate:${step}`, path, version });
    await this.#append(step, token, facts);
    this.#core.events.emit('rotation:advanced', { path, token, step });
  }

  async #close(token: string, outcome: RotationOutcome): Promise<void> {
    await this.#done('closed', token, { outcome });
    const version = this.#journal.state?.version ?? '';
    if (outcome === 'completed') this.#core.events.emit('rotation:completed', { path: this.#settings.path, version });
  }

  async #append(kind: JournalRecord['kind'], token: string, facts: Partial<JournalRecord>): Promise<void> {
    const atMs = this.#core.settings.clock.now();
    await this.#journal.append({ ...facts, kind, token, fence: String(this.#options.fence), atMs });
  }

  /** A step that was interrupted, as by a lost lease, has not failed: it is taken up again. */
  #unlessCutOff(step: string, error: unknown): unknown {
    const { signal } = this.#options;
    return signal.aborted ? signal.reason : this.#failure(step, error);
  }

  #failure(step: string, error: unknown): Error {
    const { path } = this.#settings;
    const code = codeOf(error);
    this.#core.events.emit('rotation:failed', { path, step, code });
    return secretsError(
      'MNOPS_SECRETS_ROTATION_FAILED',
      `The rotation of ${path} failed at ${step}: ${code ?? 'the rotator rejected'}.`,
      {
        operation: 'rotate',
        details: { path, step, ...(code === undefined ? {} : { code }) },
        cause: sanitizedCause(error, this.#core.live),
      },
    );
  }
}

/** What is being done after each recorded step. */
const following: Readonly<Record<JournalState['step'], string>> = {
  'intent-recorded': 'store-pending',
  'pending-stored': 'apply',
  applied: 'verify',
  verified: 'promote',
  promoted: 'record-grace',
  'grace-recorded': 'revoke',
  revoked: 'close',
  discarding: 'discard',
  closed: 'none',
};

function superseded(path: string): Error {
  return coreError('MNOPS_CORE_CONFLICT', `Another value of ${path} became current during its rotation.`, {
    details: { path },
  });
}
