import type { MnopsError } from '@mnops/core';
import type { CallOptions, SecretChange, SecretStage, SecretValue, SecretVersionState } from '@mnops/core/spi';
import type { ExportOptions, ImportOptions, ImportReport } from './exchange/exchange.js';
import type { LeaseOptions, SecretLease } from './leases/secret-lease.js';
import type { SecretHandle } from './read/handle.js';

/** A value to be stored: text, bytes, or anything that JSON can carry. */
export type SecretInput =
  | string
  | Uint8Array
  | number
  | boolean
  | null
  | readonly unknown[]
  | { readonly [key: string]: unknown };

/** What to read, and how fresh. */
export interface ReadOptions extends CallOptions {
  /** Version id. Default: the current one. */
  readonly version?: string | undefined;
  readonly stage?: SecretStage | undefined;
  /** Greatest age of a cached answer in milliseconds; 0 asks the provider. Default: what the cache says. */
  readonly maxAgeMs?: number | undefined;
  /** Give the value also after its expiry. Default false. */
  readonly allowExpired?: boolean | undefined;
}

/** How a value is written. */
export interface WriteOptions extends CallOptions {
  /** From then on the value is refused. */
  readonly expiresAt?: Date | undefined;
  /** Default: `text/plain`, `application/octet-stream` or `application/json`, by the kind of the input. */
  readonly contentType?: string | undefined;
  /** Replaces the tags of the secret when given. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
  /** Stage of the new version. Default `current`. */
  readonly stage?: SecretStage | undefined;
}

/** State of a path's rotation, as far as its metadata tells. */
export interface SecretRotationFacts {
  /** Old version that is still accepted. */
  readonly graceVersion: string;
  /** Until when; absent while the rotation runs. */
  readonly revokeAt?: Date | undefined;
}

/** Facts about a secret, never its value. */
export interface SecretMetadata {
  readonly path: string;
  /** Id of the provider. */
  readonly provider: string;
  /** The current version; absent while there is none. */
  readonly version?: string | undefined;
  /** Version that each stage points at. */
  readonly stages: Readonly<Record<string, string>>;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly expiresAt?: Date | undefined;
  /** Present while the secret is deleted and can be restored. */
  readonly deletedAt?: Date | undefined;
  readonly contentType?: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
  /** Abilities that the provider has by emulation only. */
  readonly emulated: readonly string[];
  readonly rotation?: SecretRotationFacts | undefined;
}

/** One version of a secret, without its value. */
export interface SecretVersion {
  readonly version: string;
  readonly stages: readonly SecretStage[];
  readonly state: SecretVersionState;
  readonly createdAt: Date;
  readonly expiresAt?: Date | undefined;
}

/** Answer of `getMany`. */
export interface ManySecrets {
  readonly found: Map<string, SecretValue>;
  readonly absent: string[];
  readonly failed: Map<string, MnopsError>;
}

/** What an actor can do. All calls take `{ signal, timeoutMs }`. */
export interface SecretOperations {
  /** The value, from the cache while it is fresh; `undefined` when nothing is stored at the path. */
  get(path: string, options?: ReadOptions): Promise<SecretValue | undefined>;
  /** Like `get`; rejects with `MNOPS_CORE_NOT_FOUND` when absent. */
  getOrThrow(path: string, options?: ReadOptions): Promise<SecretValue>;
  /** Several at once, each with its own outcome. */
  getMany(paths: Iterable<string>, options?: ReadOptions): Promise<ManySecrets>;
  /** A secret that is followed from now on, for synchronous reads. */
  handle(path: string): SecretHandle;
  /**
   * Uses the value; when the use fails and `isAuthError` says that the value was refused, the newest value is tried, then
   * the pending one of a rotation. Without `isAuthError` the use runs once.
   */
  withSecret<T>(
    path: string,
    use: (secret: SecretValue) => Promise<T>,
    options?: CallOptions & { readonly isAuthError?: ((error: unknown) => boolean) | undefined },
  ): Promise<T>;
  /** Stores a value where there is none; rejects with `MNOPS_CORE_CONFLICT` otherwise. */
  create(path: string, value: SecretInput, options?: WriteOptions): Promise<SecretMetadata>;
  /** Stores a new version; with `ifVersion` only if that is the current one, else `MNOPS_CORE_CONFLICT`. */
  put(
    path: string,
    value: SecretInput,
    options?: WriteOptions & { readonly ifVersion?: string | undefined },
  ): Promise<SecretMetadata>;
  /** Stores what the function makes of the current value, again if another write came between, at most 5 times. */
  update(path: string, next: (now: SecretValue) => SecretInput, options?: WriteOptions): Promise<SecretMetadata>;
  /** Facts; `undefined` when absent. */
  describe(path: string, options?: CallOptions): Promise<SecretMetadata | undefined>;
  /** Changes the expiry of the current version; `null` removes it. */
  setExpiry(path: string, at: Date | null, options?: CallOptions): Promise<SecretMetadata>;
  /** Newest first. */
  versions(path: string, options?: CallOptions): AsyncIterable<SecretVersion>;
  /** Writes an older value as a new version; default: that of stage `previous`. */
  rollback(path: string, options?: CallOptions & { readonly toVersion?: string | undefined }): Promise<SecretMetadata>;
  /** Secrets that the actor may see, sorted by path; deleted ones only when asked for. */
  list(
    prefix?: string,
    options?: CallOptions & { readonly includeDeleted?: boolean | undefined },
  ): AsyncIterable<SecretMetadata>;
  /**
   * Deletes the secret or some versions; `restore` undoes it unless `permanent`, for `recoveryDays` where the provider lets
   * the caller choose them (capability `recoveryDays`). Absent is success.
   *
   * @throws {MnopsError} `MNOPS_CORE_UNSUPPORTED` with `details.field` where it does not.
   */
  delete(
    path: string,
    options?: CallOptions & {
      readonly versions?: readonly string[] | undefined;
      readonly permanent?: boolean | undefined;
      readonly recoveryDays?: number | undefined;
    },
  ): Promise<void>;
  /** Undoes a delete that was not permanent. */
  restore(
    path: string,
    options?: CallOptions & { readonly versions?: readonly string[] | undefined },
  ): Promise<SecretMetadata>;
  /**
   * Changes below the prefix that the actor may list, also those of other processes, until the signal aborts or the manager
   * is stopped. A change without a path means that anything may have changed. Where the provider does not tell of changes,
   * its list is compared every `cache.ttlMs`.
   *
   * @throws {MnopsError} `MNOPS_CORE_UNSUPPORTED` where the provider neither tells nor lists.
   */
  watch(prefix?: string, options?: Pick<CallOptions, 'signal'>): AsyncIterable<SecretChange>;
  /**
   * A credential that the back end makes for this caller: kept alive until it is revoked, replaced when it cannot be.
   *
   * @throws {MnopsError} `MNOPS_CORE_UNSUPPORTED` where the provider issues none.
   */
  lease(path: string, options?: LeaseOptions): Promise<SecretLease>;
  /**
   * Stores what a dotenv, JSON or YAML text says: one secret per name, only those whose bytes differ. When the text cannot
   * be read, nothing is stored; a secret that cannot be stored does not stop the others.
   *
   * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` with the line of every problem, never with what stands there.
   */
  importFrom(text: string, options: ImportOptions): Promise<ImportReport>;
  /**
   * The current values below a prefix as one text, names relative to the prefix; all of them or an error. It holds every
   * value in the clear.
   */
  exportTo(prefix: string, options: ExportOptions): Promise<string>;
  /** A copy of plain data in which each `secret://` text, and each `${secret://…}` inside a text, is replaced by its value. */
  resolveAll<T>(config: T, options?: CallOptions): Promise<T>;
}
