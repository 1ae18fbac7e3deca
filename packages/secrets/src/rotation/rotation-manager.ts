import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { codeOf, coreError, UnsupportedError, withCall } from '@mnops/core';
import { configError } from '@mnops/core/config';
import { traced } from '@mnops/core/operations';
import { startSchedule } from '@mnops/core/schedule';
import type { Call, CallOptions, HeldLease, Timer } from '@mnops/core/spi';
import { secretsError } from '../codes.js';
import { assertPath } from '../path.js';
import type { SecretsCore } from '../secrets-core.js';
import type { RotationSettings } from '../settings.js';
import {
  fileJournals,
  type Journal,
  type JournalState,
  type JournalStore,
  memoryJournals,
  pathDigest,
} from './journal.js';
import { RotationRun } from './rotation-run.js';
import { type RotateOptions, type RotationResult, type RotationState, toResult, toState } from './rotation-state.js';

const owner = (): string => `${process.pid}-${randomUUID()}`;
const firstRetryMs = 1_000;
const longestRetryMs = 900_000;
/** How long a resume waits for a lease that a dead process may have left. */
const resumeWaitMs = 30_000;
const pollMs = 100;
const longestGraceMs = 100 * 365 * 86_400_000;

interface Running {
  readonly controller: AbortController;
  readonly done: Promise<unknown>;
}

/** The rotations of one manager: one per path at a time among all processes, journalled, on the schedules that were given. */
export class RotationManager {
  readonly #core: SecretsCore;
  readonly #journals: JournalStore;
  readonly #running = new Map<string, Running>();
  readonly #timers = new Map<string, Timer>();
  readonly #schedules = new Map<string, ReturnType<typeof startSchedule>>();
  readonly #failures = new Map<string, number>();
  readonly #owner = owner();
  #stopped = false;

  constructor(core: SecretsCore) {
    this.#core = core;
    const { folder } = core.settings;
    this.#journals =
      folder === undefined
        ? memoryJournals()
        : fileJournals(join(folder, 'rotation'), (damage) => {
            core.events.emit('storage:damaged', damage);
            core.lifecycle.degrade(`${damage.records} records of ${damage.file} are lost. ${damage.remedy}`);
          });
  }

  get running(): number {
    return this.#running.size;
  }

  /** Takes up what was left unfinished, and begins the schedules. What fails is tried again behind. */
  async start(): Promise<void> {
    for (const settings of this.#core.settings.rotations.values()) {
      const state = await this.#journals.read(settings.path);
      if (state !== undefined && state.step !== 'closed') this.#takeUp(settings.path);
      if (settings.schedule !== undefined) this.#schedule(settings, state);
    }
  }

  async rotate(path: string, options: RotateOptions = {}): Promise<RotationResult> {
    const settings = this.#settingsOf(path);
    assertGrace(options.graceMs);
    return await this.#exclusively(settings, options, async (run, journal) => {
      const before = journal.state;
      if (before !== undefined && before.step !== 'closed') {
        await run.advance({ endGrace: options.endGrace });
        if (journal.state?.step === 'grace-recorded' && before.step === 'grace-recorded')
          throw inGrace(path, journal.state);
        // A rotation that was cut off is what was asked for, unless it had only its end left.
        if (before.step !== 'grace-recorded' && before.step !== 'revoked' && before.step !== 'discarding') return;
      }
      await run.begin();
      await run.advance();
    });
  }

  async resume(path?: string): Promise<RotationResult[]> {
    const paths = path === undefined ? [...this.#core.settings.rotations.keys()] : [path];
    const results: RotationResult[] = [];
    for (const each of paths) {
      const settings = this.#settingsOf(each);
      const state = await this.#journals.read(each);
      if (state === undefined || state.step === 'closed') continue;
      results.push(await this.#resumeOne(settings));
    }
    return results;
  }

  async abort(path: string): Promise<RotationResult> {
    const settings = this.#settingsOf(path);
    const running = this.#running.get(path);
    running?.controller.abort(coreError('MNOPS_CORE_ABORTED', `The rotation of ${path} was aborted.`));
    await running?.done.catch(() => undefined);
    const state = await this.#journals.read(path);
    if (state === undefined || state.step === 'closed') {
      throw coreError('MNOPS_CORE_NOT_FOUND', `No rotation of ${path} is under way.`, { details: { path } });
    }
    return await this.#exclusively(settings, {}, (run) => run.abort());
  }

  async state(path: string): Promise<RotationState> {
    const settings = this.#settingsOf(path);
    return toState(settings, await this.#journals.read(path), this.#schedules.get(path)?.nextAtMs);
  }

  /** Lets running steps come to an end; what is not done by then is resumed at the next start. */
  async drain(call: Call): Promise<void> {
    this.#endTimers();
    const ending = Promise.all([...this.#running.values()].map(({ done }) => done.catch(() => undefined)));
    const cut = (): void => this.#abortAll();
    call.signal.addEventListener('abort', cut, { once: true });
    await ending;
    call.signal.removeEventListener('abort', cut);
  }

  async close(): Promise<void> {
    this.#stopped = true;
    this.#endTimers();
    this.#abortAll();
    await Promise.all([...this.#running.values()].map(({ done }) => done.catch(() => undefined)));
  }

  #abortAll(): void {
    const stopped = coreError(
      'MNOPS_CORE_ABORTED',
      'SecretsManager was stopped; the rotation goes on at the next start.',
    );
    for (const { controller } of this.#running.values()) controller.abort(stopped);
  }

  #endTimers(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    for (const schedule of this.#schedules.values()) schedule.stop();
    this.#schedules.clear();
  }

  #schedule(settings: RotationSettings, state: JournalState | undefined): void {
    const { path, schedule, jitterMs } = settings;
    if (schedule === undefined) return;
    const run = async (): Promise<void> => {
      await this.rotate(path);
    };
    const onError = (error: unknown): void => this.#failed(path, error);
    const { clock } = this.#core.settings;
    const lastRunMs = state?.rotatedAtMs;
    this.#schedules.set(
      path,
      startSchedule({
        schedule,
        run,
        clock,
        jitterMs,
        catchUp: true,
        ...(lastRunMs === undefined ? {} : { lastRunMs }),
        onError,
      }),
    );
  }

  async #resumeOne(settings: RotationSettings): Promise<RotationResult> {
    const { clock } = this.#core.settings;
    const endsAt = clock.monotonic() + Math.max(resumeWaitMs, 3 * this.#core.settings.leaseTtlMs);
    for (;;) {
      try {
        return await this.#exclusively(settings, {}, (run) => run.advance());
      } catch (error) {
        const held = codeOf(error) === 'MNOPS_SECRETS_ROTATION_IN_PROGRESS';
        if (!held || this.#stopped || clock.monotonic() >= endsAt) throw error;
      }
      await clock.sleep(pollMs, this.#core.lifecycle.signal);
    }
  }

  /** Runs work under the lease of a path and with its journal open. */
  async #exclusively(
    settings: RotationSettings,
    options: RotateOptions,
    work: (run: RotationRun, journal: Journal) => Promise<void>,
  ): Promise<RotationResult> {
    const { path } = settings;
    this.#core.lifecycle.assertUsable();
    if (this.#running.has(path)) throw inProgress(path);
    const controller = new AbortController();
    const fields = { provider: this.#core.provider.id, rotator: settings.rotator.id, path };
    const done = traced('mnops:secrets:rotate', fields, async (context) => {
      const state = await this.#hold(settings, options, controller, work);
      if (state?.version !== undefined) context['version'] = state.version;
      context['outcome'] = toResult(settings, state).outcome;
      return state;
    });
    this.#running.set(path, { controller, done });
    try {
      const state = await done;
      this.#failures.delete(path);
      this.#planGrace(path, state);
      return toResult(settings, state);
    } finally {
      this.#running.delete(path);
    }
  }

  async #hold(
    settings: RotationSettings,
    options: RotateOptions,
    controller: AbortController,
    work: (run: RotationRun, journal: Journal) => Promise<void>,
  ): Promise<JournalState | undefined> {
    const { path } = settings;
    const lease = await this.#acquire(path, options);
    const journal = await this.#journals.open(path).catch(async (error: unknown) => {
      await this.#release(lease);
      throw codeOf(error) === 'MNOPS_CORE_LOCKED' ? inProgress(path) : error;
    });
    const signals = [controller.signal, this.#core.lifecycle.signal, lease?.signal, options.signal];
    const signal = AbortSignal.any(signals.filter((each) => each !== undefined));
    const renewing = this.#keep(lease);
    try {
      const run = new RotationRun({
        core: this.#core,
        settings,
        journal,
        fence: lease?.token ?? 0n,
        signal,
        graceMs: options.graceMs,
      });
      await work(run, journal);
      return journal.state;
    } catch (error) {
      if (lease?.signal.aborted !== true || error !== lease.signal.reason) throw error;
      // Nothing is done under a right that has ended; what is left is taken up again.
      this.#retryIn(path, firstRetryMs);
      throw cutOff(path, error);
    } finally {
      renewing.cancel();
      await journal.close();
      await this.#release(lease);
    }
  }

  async #acquire(path: string, options: CallOptions): Promise<HeldLease | undefined> {
    const { lease, leaseTtlMs: ttlMs, timeoutMs, clock } = this.#core.settings;
    if (lease === undefined) return undefined;
    const held = await withCall({ timeoutMs, signal: options.signal, clock }, (call) =>
      lease.acquire(`secrets-rotation-${pathDigest(path)}`, { ttlMs, owner: this.#owner }, call),
    );
    if (held === undefined) throw inProgress(path);
    return held;
  }

  /** Renews a lease for as long as the work lasts. A renewal that fails is tried again; the lease's own signal ends the work. */
  #keep(lease: HeldLease | undefined): Timer {
    const { clock, leaseTtlMs } = this.#core.settings;
    let timer: Timer | undefined;
    let ended = false;
    const renew = async (): Promise<void> => {
      await withCall({ timeoutMs: leaseTtlMs, clock }, async (call) => lease?.renew(call)).catch(() => undefined);
      if (!ended && lease?.signal.aborted === false) plan();
    };
    const plan = (): void => {
      timer = clock.setTimer(leaseTtlMs / 4, () => void renew());
    };
    if (lease !== undefined) plan();
    return {
      cancel: () => {
        ended = true;
        timer?.cancel();
      },
    };
  }

  async #release(lease: HeldLease | undefined): Promise<void> {
    const { clock } = this.#core.settings;
    // A lease that cannot be released ends by itself.
    await withCall({ timeoutMs: 5_000, clock }, async (call) => lease?.release(call)).catch(() => undefined);
  }

  #planGrace(path: string, state: JournalState | undefined): void {
    if (state?.step !== 'grace-recorded' || state.revokeAtMs === undefined) return;
    this.#core.events.emit('rotation:completed', {
      path,
      version: state.version ?? '',
      revokeAt: new Date(state.revokeAtMs),
    });
    this.#retryIn(path, Math.max(0, state.revokeAtMs - this.#core.settings.clock.now()));
  }

  #retryIn(path: string, ms: number): void {
    if (this.#stopped) return;
    this.#timers.get(path)?.cancel();
    this.#timers.set(
      path,
      this.#core.settings.clock.setTimer(ms, () => this.#takeUp(path)),
    );
  }

  #takeUp(path: string): void {
    this.#resumeOne(this.#settingsOf(path)).catch((error: unknown) => this.#failed(path, error));
  }

  /** A rotation that failed behind is tried again, less and less often, if something of it is left to do. */
  #failed(path: string, error: unknown): void {
    const code = codeOf(error);
    if (this.#stopped || code === 'MNOPS_CORE_ABORTED' || code === 'MNOPS_CORE_CLOSED') return;
    if (code !== 'MNOPS_SECRETS_ROTATION_FAILED' && code !== 'MNOPS_SECRETS_ROTATION_IN_PROGRESS') {
      this.#core.events.emit('rotation:failed', { path, step: 'resume', code });
    }
    const failures = this.#failures.get(path) ?? 0;
    this.#failures.set(path, failures + 1);
    const waitMs = Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(failures, 20));
    void this.#journals.read(path).then(
      (state) => {
        if (state !== undefined && state.step !== 'closed') this.#retryIn(path, waitMs);
      },
      () => this.#retryIn(path, waitMs),
    );
  }

  #settingsOf(path: string): RotationSettings {
    assertPath(path);
    const settings = this.#core.settings.rotations.get(path);
    if (settings === undefined) {
      throw coreError('MNOPS_CORE_NOT_FOUND', `No rotation is configured for ${path}.`, {
        remedy: 'Add the path with its rotator to `rotations`.',
        details: { path },
      });
    }
    const { capabilities, id, setStage } = this.#core.provider;
    if (capabilities.stages === 'none' || setStage === undefined) {
      throw new UnsupportedError(`The provider ${id} does not have the capability stages.`, {
        provider: id,
        details: { ability: 'stages' },
      });
    }
    return settings;
  }
}

/** Anything else would be compared as a time that has passed, and the old value revoked at once. */
function assertGrace(graceMs: unknown): void {
  if (graceMs === undefined) return;
  const isDuration = typeof graceMs === 'number' && graceMs >= 0 && graceMs <= longestGraceMs;
  if (isDuration) return;
  const expected = 'milliseconds from 0 to those of 100 years';
  const remedy = 'Give a number of milliseconds, or leave it out for the configured grace.';
  throw configError('rotate', [{ field: 'graceMs', expected, received: received(graceMs), remedy }]);
}

function received(value: unknown): string {
  return typeof value === 'number' ? String(value) : value === null ? 'null' : typeof value;
}

function inProgress(path: string): Error {
  return secretsError('MNOPS_SECRETS_ROTATION_IN_PROGRESS', `The path ${path} is being rotated.`, {
    details: { path },
  });
}

function cutOff(path: string, cause: unknown): Error {
  const message = `The rotation of ${path} was cut off, because its lease was not renewed in time; it goes on shortly.`;
  return secretsError('MNOPS_SECRETS_ROTATION_IN_PROGRESS', message, { details: { path }, cause });
}

function inGrace(path: string, { revokeAtMs = 0 }: JournalState): Error {
  const revokeAt = new Date(revokeAtMs).toISOString();
  return secretsError(
    'MNOPS_SECRETS_ROTATION_IN_PROGRESS',
    `The old value of ${path} is still accepted until ${revokeAt}.`,
    {
      details: { path, revokeAt },
    },
  );
}
