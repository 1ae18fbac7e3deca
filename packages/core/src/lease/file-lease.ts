import { createHash } from 'node:crypto';
import { join } from 'node:path';
import * as v from 'valibot';
import { systemClock } from '../clock.js';
import { type ConfigIssue, clockSchema, configError, parseOptions } from '../config/index.js';
import { coreError } from '../errors/core-error.js';
import { ensureFolder, processIdentity } from '../files/index.js';
import type { Call, Clock } from '../spi/base.js';
import type { HeldLease, Lease } from '../spi/lease.js';
import { type LeaseTimer, startLeaseTimer } from './held-lease.js';
import { type LeaseRecord, readLease, type StoredLease, writeLease } from './lease-record.js';
import { withFileLock } from './with-file-lock.js';

/** Where leases are kept. */
export interface FileLeaseOptions {
  /** Folder that all who compete share; made when it is missing. */
  readonly folder: string;
  /** Milliseconds before the end at which a holder's signal aborts. Default: a fifth of the lease's time-to-live. */
  readonly marginMs?: number | undefined;
  readonly clock?: Clock | undefined;
}

const optionsSchema = v.strictObject({
  folder: v.pipe(v.string(), v.nonEmpty()),
  marginMs: v.optional(v.pipe(v.number(), v.finite(), v.minValue(0))),
  clock: v.optional(clockSchema),
});

/** Names whose last change is remembered; older ones are waited for anew. */
const maxObserved = 1_000;

/** What this process saw of somebody else's lease, and since when. */
interface Observation {
  readonly state: string;
  readonly sinceMs: number;
}

/**
 * Leases as files in a folder, for processes on one machine or a shared file system.
 *
 * A lease that is held, by whomever, is given to nobody else before its time-to-live has passed: by the clock of the
 * machine that both share, else by the own monotonic clock since the file was first seen unchanged. Wall clocks decide
 * nothing. Tokens grow by one with each holder and survive restarts. A holder that died is not noticed any earlier.
 *
 * `acquire` rejects with `MNOPS_CORE_CONFIG_INVALID`, `MNOPS_CORE_STORAGE_FAILED`, `MNOPS_CORE_STORAGE_UNREADABLE` or
 * `MNOPS_CORE_LOCKED`.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`
 */
export function fileLease(options: FileLeaseOptions): Lease {
  const { folder, marginMs, clock: given } = parseOptions('fileLease', optionsSchema, options);
  const clock = given ?? systemClock();
  const observed = new Map<string, Observation>();

  /** The machine's own monotonic clock, which all its processes share. A given clock is nobody else's. */
  async function machineTime(): Promise<Pick<LeaseRecord, 'timeline' | 'atMs'>> {
    if (given !== undefined) return { timeline: '', atMs: clock.monotonic() };
    const bootId = (await processIdentity())?.bootId ?? '';
    return { timeline: bootId, atMs: Number(process.hrtime.bigint() / 1_000_000n) };
  }

  async function isFree(stored: StoredLease | undefined): Promise<boolean> {
    if (stored === undefined || (stored.record.released && !stored.fromCopy)) return true;
    const { record, fromCopy } = stored;
    const now = await machineTime();
    if (!fromCopy && now.timeline !== '' && now.timeline === record.timeline)
      return now.atMs >= record.atMs + record.ttlMs;
    const state = `${record.token}/${record.renewals}/${record.released}`;
    const before = observed.get(record.name);
    if (before?.state === state) return clock.monotonic() >= before.sinceMs + record.ttlMs;
    observed.delete(record.name);
    observed.set(record.name, { state, sinceMs: clock.monotonic() });
    if (observed.size > maxObserved) observed.delete(observed.keys().next().value ?? '');
    return false;
  }

  async function acquire(
    name: string,
    request: { readonly ttlMs: number; readonly owner: string },
    call: Call,
  ): Promise<HeldLease | undefined> {
    assertRequest(name, request, marginMs);
    call.signal.throwIfAborted();
    const { ttlMs, owner } = request;
    await ensureFolder(folder);
    const path = leasePath(folder, name);
    return await withFileLock(`${path}.lock`, call, async () => {
      const stored = await readLease(path);
      if (!(await isFree(stored))) return undefined;
      // Before the write: whoever looks at the file counts from a later instant than the holder.
      const fromMs = clock.monotonic();
      const token = (stored?.record.token ?? 0n) + 1n;
      const facts = { name, owner, ttlMs, token, renewals: 0, released: false, wallMs: clock.now() };
      const record = { ...facts, ...(await machineTime()) };
      await writeLease(path, record, { withCopy: true });
      observed.delete(name);
      const timer = startLeaseTimer({ name, ttlMs, marginMs: marginMs ?? ttlMs / 5, clock, fromMs });
      return held(path, record, timer);
    });
  }

  function held(path: string, first: LeaseRecord, timer: LeaseTimer): HeldLease {
    let current = first;
    let released: Promise<void> | undefined;

    function lost(): Error {
      const { name, token } = current;
      const error = coreError('MNOPS_CORE_CONFLICT', `The lease ${name} is no longer held with token ${token}.`, {
        details: { name, token: token.toString() },
      });
      timer.end(error);
      return error;
    }

    async function isStillMine(): Promise<boolean> {
      const stored = await readLease(path);
      return stored?.record.token === first.token && !(stored.record.released && !stored.fromCopy);
    }

    async function renew(call: Call): Promise<void> {
      if (timer.signal.aborted) throw lost();
      await withFileLock(`${path}.lock`, call, async () => {
        // Asked for within the lock: its wait counts against the lease.
        if (timer.signal.aborted || !(await isStillMine())) throw lost();
        const fromMs = clock.monotonic();
        const next = { ...current, ...(await machineTime()), renewals: current.renewals + 1, wallMs: clock.now() };
        await writeLease(path, next, { withCopy: false });
        if (timer.signal.aborted) throw lost();
        current = next;
        timer.extend(fromMs);
      });
    }

    async function release(call: Call): Promise<void> {
      // First the right, then the file: nobody may get the lease while this holder still acts.
      timer.end(coreError('MNOPS_CORE_ABORTED', `The lease ${first.name} was released.`));
      await withFileLock(`${path}.lock`, call, async () => {
        if (await isStillMine()) await writeLease(path, { ...current, released: true }, { withCopy: false });
      });
    }

    return {
      token: first.token,
      signal: timer.signal,
      renew,
      release: (call) => {
        released ??= release(call).catch((error: unknown) => {
          released = undefined; // may be tried again
          throw error;
        });
        return released;
      },
    };
  }

  return { specVersion: 1, kind: 'lease', id: 'file-lease', acquire };
}

/** A readable part of the name, and its hash, so that names never meet and never leave the folder. */
function leasePath(folder: string, name: string): string {
  const readable = name
    .replace(/[^A-Za-z0-9_-]+/g, '-')
    .slice(0, 60)
    .toLowerCase();
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 32);
  return join(folder, `${readable}-${hash}.lease`);
}

function assertRequest(
  name: string,
  { ttlMs, owner }: { readonly ttlMs: number; readonly owner: string },
  marginMs: number | undefined,
): void {
  const issues: ConfigIssue[] = [];
  const text = { expected: 'text that is not empty', received: 'empty text' };
  if (name === '') issues.push({ field: 'name', ...text, remedy: 'Name what the lease protects.' });
  if (owner === '') issues.push({ field: 'owner', ...text, remedy: 'Give each process a name of its own.' });
  if (!(ttlMs > 0 && ttlMs < Number.POSITIVE_INFINITY)) {
    issues.push({
      field: 'ttlMs',
      expected: 'a number above 0',
      received: 'another number',
      remedy: 'Choose a time in which a holder surely renews, such as 30_000.',
    });
  } else if (marginMs !== undefined && marginMs >= ttlMs) {
    issues.push({
      field: 'ttlMs',
      expected: `more than marginMs, ${marginMs}`,
      received: 'a smaller number',
      remedy: 'Raise ttlMs or lower marginMs.',
    });
  }
  if (issues.length > 0) throw configError('acquire', issues);
}
