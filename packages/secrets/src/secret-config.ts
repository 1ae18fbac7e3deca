import type { AuditOptions } from '@mnops/core/audit';
import type { Schedule } from '@mnops/core/schedule';
import type { Clock, Lease, RotationStrategy, Rotator, SecretProvider, ServiceIdentity } from '@mnops/core/spi';
import type { AccessConfig } from './access/policy.js';

/** How long answers are kept, and how many. */
export interface CacheConfig {
  /** Milliseconds that a value counts as fresh. Default 300,000. */
  readonly ttlMs?: number | undefined;
  /** Share by which each time is shortened at random, 0 to 1, so that processes do not refresh together. Default 0.2. */
  readonly jitter?: number | undefined;
  /** Most answers. Default 1,024; beyond them, one that was not read lately goes. */
  readonly maxEntries?: number | undefined;
  /** Most bytes of all answers. Default 16 MiB. */
  readonly maxBytes?: number | undefined;
  /** Milliseconds after its time in which a value is still given at once while it is refreshed behind. Default 60,000. */
  readonly staleWhileRevalidateMs?: number | undefined;
  /** Milliseconds after its time in which a value is given, marked `stale`, when the provider cannot be reached. Default 0: never. */
  readonly staleOnErrorMs?: number | undefined;
  /** Milliseconds that the absence of a secret is remembered. Default 5,000. */
  readonly negativeTtlMs?: number | undefined;
}

/** How failed calls to the provider are repeated. */
export interface RetryConfig {
  /** Attempts in all. Default 4. */
  readonly maxAttempts?: number | undefined;
  /** Bound of the first delay in milliseconds; it doubles. Default 100. */
  readonly baseDelayMs?: number | undefined;
  /** Bound of every delay in milliseconds. Default 10,000. */
  readonly maxDelayMs?: number | undefined;
  /** Retries of all calls together per second. Default 10. */
  readonly budgetPerSecond?: number | undefined;
}

/** What is recorded, and where. */
export interface SecretAuditConfig extends AuditOptions {
  /** Which reads are recorded: `all`, only those that needed the provider, or `none`. Default `all`. */
  readonly reads?: 'all' | 'uncached' | 'none' | undefined;
  /**
   * Record a keyed hash in place of each path. The key is 32 bytes that are given here, or, with `true`, stand in the file
   * `audit-paths.key` of `folder`, which is made; a log in memory only has a key of its own. Default false.
   */
  readonly hashPaths?: boolean | { readonly key: Uint8Array } | undefined;
}

/** When somebody is told that a secret is about to expire. */
export interface ExpiryConfig {
  /** Milliseconds before the expiry. Default 604,800,000: seven days. */
  readonly warnBeforeMs?: number | undefined;
  /**
   * Look through the list of the provider at `start`, so that secrets are known which nobody has read yet. Default: only
   * where the data is in this process or its folder, because elsewhere a list may be hundreds of requests.
   */
  readonly checkAtStart?: boolean | undefined;
}

/** How one path is rotated. */
export interface RotationConfig {
  readonly rotator: Rotator;
  /** `single-user`: one user's password is replaced. `dual-user`: two users take turns, so that no login fails. Default: the first that the rotator names. */
  readonly strategy?: RotationStrategy | undefined;
  /** When it rotates by itself. Absent: only when `rotate` is called. */
  readonly schedule?: Schedule | undefined;
  /** Milliseconds that the old value goes on working after the new one became current. Default 3,600,000, or half of a shorter schedule. */
  readonly graceMs?: number | undefined;
  /** Milliseconds between storing the new value and promoting it, so that every verifier accepts it first. Default: what the provider declares; 0 where the old and the new value do not overlap. */
  readonly propagationMs?: number | undefined;
  /** Milliseconds for each call of the rotator. Default 30,000. */
  readonly stepTimeoutMs?: number | undefined;
  /** Milliseconds by which a scheduled rotation is put off at random at most. Default 60,000. */
  readonly jitterMs?: number | undefined;
}

/** What a `SecretsManager` is made from. Every field has a default. */
export interface SecretConfig {
  /** Where secrets are kept. Default: an encrypted vault `secrets.vault` in `folder`, with a key made in the user's configuration folder. */
  readonly provider?: SecretProvider | undefined;
  /** Folder of the vault, the audit log and the rotation journals. Default `.mnops/secrets` without a provider; with one, nothing is written unless it is given. */
  readonly folder?: string | undefined;
  /** Who the program is, in audit records. */
  readonly service?: string | Partial<ServiceIdentity> | undefined;
  /** Milliseconds for a call that says nothing else, retries included. Default 10,000. */
  readonly timeoutMs?: number | undefined;
  readonly retry?: RetryConfig | undefined;
  readonly cache?: false | CacheConfig | undefined;
  /** Who may do what. Absent: everything is allowed, and still audited. */
  readonly access?: AccessConfig | undefined;
  readonly audit?: false | SecretAuditConfig | undefined;
  /** Warnings before secrets expire, as the event `expiry:neared`. `false`: none. */
  readonly expiry?: false | ExpiryConfig | undefined;
  /** Rotations by path. */
  readonly rotations?: Readonly<Record<string, RotationConfig>> | undefined;
  /** Keeps two processes from rotating one path at once. Default: files in `folder`. */
  readonly lease?: Lease | undefined;
  /** Milliseconds after which the rotation of a process that died may be taken up by another. Default 10,000, least 100. */
  readonly leaseTtlMs?: number | undefined;
  readonly clock?: Clock | undefined;
}
