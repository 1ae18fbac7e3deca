import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { coreError, storageError } from '../errors/core-error.js';
import { codeOf } from '../errors/mnops-error.js';
import { writeFileAtomic } from '../files/index.js';

/** What the file of a lease says. Layout: `docs/formats/lease.md`. */
export interface LeaseRecord {
  readonly name: string;
  /** Number of the holder; only grows. */
  readonly token: bigint;
  readonly owner: string;
  readonly ttlMs: number;
  /** Times that this holder extended the lease. */
  readonly renewals: number;
  readonly released: boolean;
  /** Which monotonic clock `atMs` is of: the boot of a machine; empty when it cannot be compared. */
  readonly timeline: string;
  /** When the lease was taken or extended, on that clock. */
  readonly atMs: number;
  /** The same by the wall clock, for people only. */
  readonly wallMs: number;
}

/** The state of a lease, and whether it was read from the copy, which does not follow renewals. */
export interface StoredLease {
  readonly record: LeaseRecord;
  readonly fromCopy: boolean;
}

const heading = 'MNOPS-LEASE 1';

/**
 * What is stored for a lease; `undefined` when it was never taken.
 *
 * @throws {MnopsError} `MNOPS_CORE_STORAGE_UNREADABLE` when file and copy are damaged: a guessed token could repeat.
 */
export async function readLease(path: string): Promise<StoredLease | undefined> {
  const [main, copy] = [await readOne(path), await readOne(`${path}.copy`)];
  if (typeof main === 'object' && !(typeof copy === 'object' && copy.token > main.token)) {
    return { record: main, fromCopy: false };
  }
  if (typeof copy === 'object') return { record: copy, fromCopy: true };
  if (main === 'absent' && copy === 'absent') return undefined;
  throw coreError('MNOPS_CORE_STORAGE_UNREADABLE', `The lease file ${path} and its copy are damaged.`, {
    details: { path },
    remedy: 'Restore the file, or stop everybody who uses the lease and remove it; tokens then begin at 1 again.',
  });
}

/** Writes a lease durably. A new holder goes into the copy first, so that its token survives damage of the file. */
export async function writeLease(path: string, record: LeaseRecord, options: { withCopy: boolean }): Promise<void> {
  const text = encodeLease(record);
  if (options.withCopy) await writeFileAtomic(`${path}.copy`, text);
  await writeFileAtomic(path, text);
}

function encodeLease(record: LeaseRecord): string {
  const body = `${heading}\n${JSON.stringify({ ...record, token: record.token.toString() })}\n`;
  return `${body}${digest(body)}\n`;
}

async function readOne(path: string): Promise<LeaseRecord | 'absent' | 'damaged'> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 'absent';
    throw storageError('read', path, error);
  }
  const end = text.lastIndexOf('\n', text.length - 2) + 1;
  const body = text.slice(0, end);
  if (!body.startsWith(`${heading}\n`) || text !== `${body}${digest(body)}\n`) return 'damaged';
  const fields = JSON.parse(body.slice(heading.length + 1)) as Omit<LeaseRecord, 'token'> & { readonly token: string };
  return { ...fields, token: BigInt(fields.token) };
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
