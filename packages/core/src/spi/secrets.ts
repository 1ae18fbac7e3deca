import type { Call, Spi, StorageDamage, Support } from './base.js';
import type { Recoverable } from './recoverable.js';
import type { ResolvedSecret } from './secret-resolver.js';

/** Label that points at one version of a secret. `pending` is a value that a rotation has not promoted yet. */
export type SecretStage = 'current' | 'previous' | 'pending' | (string & {});

/** What can be done with a version: only `enabled` ones can be read, `deleted` ones can be restored, `destroyed` ones are gone. */
export type SecretVersionState = 'enabled' | 'deleted' | 'destroyed';

/** The part of a Standard Schema (version 1: valibot, zod, arktype …) that checks a parsed value at once. */
export interface SecretSchema<T> {
  readonly '~standard': {
    readonly validate: (
      value: unknown,
    ) =>
      | { readonly value: T; readonly issues?: undefined }
      | { readonly issues: readonly { readonly path?: readonly unknown[] | undefined }[] }
      | Promise<unknown>;
  };
}

/** A secret value. It is immutable and may be shared; whatever prints it shows `[secret <path> v<version>]`. */
export interface SecretValue extends ResolvedSecret {
  readonly path: string;
  readonly version: string;
  readonly stages: readonly SecretStage[];
  /** Id of the provider that it was read from. */
  readonly provider: string;
  /** Whether it was served from the cache past its time because the provider could not be reached. */
  readonly stale: boolean;
  readonly createdAt?: Date | undefined;
  readonly expiresAt?: Date | undefined;
  readonly contentType?: string | undefined;
  /** The text. JavaScript strings cannot be wiped: keep it no longer than the use. */
  reveal(): string;
  /** A copy of the bytes. */
  bytes(): Uint8Array;
  /**
   * The value parsed as JSON, checked by a schema where one is given.
   *
   * @throws {MnopsError} `MNOPS_SECRETS_VALUE_INVALID` when it is not JSON or the schema refuses it; the message names
   * fields, never their content.
   */
  json<T = unknown>(schema?: SecretSchema<T>): T;
  /** Text of one field of a JSON object; a number or boolean becomes text. `MNOPS_SECRETS_VALUE_INVALID` when absent. */
  field(key: string): string;
  /** Whether the bytes are the same, compared in constant time. */
  equals(other: string | Uint8Array): boolean;
}

/** One version as a provider stores it. */
export interface StoredSecret {
  readonly value: Uint8Array;
  readonly version: string;
  readonly stages: readonly SecretStage[];
  /** Epoch milliseconds. */
  readonly createdAtMs?: number | undefined;
  /** Epoch milliseconds; the host refuses the value from then on. */
  readonly expiresAtMs?: number | undefined;
  readonly contentType?: string | undefined;
}

/** Which version of a secret is meant. Both: they must name the same one. None: the one with stage `current`. */
export interface SecretSelector {
  readonly version?: string | undefined;
  readonly stage?: SecretStage | undefined;
}

/** Facts about one version, never its value. */
export interface SecretVersionRecord {
  readonly version: string;
  readonly stages: readonly SecretStage[];
  readonly state: SecretVersionState;
  /** Epoch milliseconds. */
  readonly createdAtMs: number;
  /** Epoch milliseconds. */
  readonly expiresAtMs?: number | undefined;
}

/** Facts about one secret, never its value. */
export interface SecretRecord {
  readonly path: string;
  /** Version with stage `current`; absent while only other stages exist. */
  readonly version?: string | undefined;
  /** Version that each stage points at. */
  readonly stages: Readonly<Record<string, string>>;
  /** Epoch milliseconds of the first version. */
  readonly createdAtMs: number;
  /** Epoch milliseconds of the last change. */
  readonly updatedAtMs: number;
  /** Expiry of the current version, epoch milliseconds. */
  readonly expiresAtMs?: number | undefined;
  /** Epoch milliseconds; present while the secret is deleted and can be restored. */
  readonly deletedAtMs?: number | undefined;
  readonly contentType?: string | undefined;
  /** Facts of the user. */
  readonly tags: Readonly<Record<string, string>>;
  /** Facts of the host, such as the rotation's grace; not shown to users. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** How a value is written. */
export interface SecretPutOptions {
  /** Made by the caller before the first try: a repeated put with the same token stores nothing and answers the first one's version. */
  readonly token: string;
  /** Stages that move to the new version. Moving `current` leaves `previous` on the version that had it. */
  readonly stages: readonly SecretStage[];
  /** Compare-and-set: the current version must be this one; `null`: the secret must be absent. */
  readonly ifVersion?: string | null | undefined;
  /** Epoch milliseconds. */
  readonly expiresAtMs?: number | undefined;
  readonly contentType?: string | undefined;
  /** Replaces the tags of the secret when given. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
}

/** What a delete takes away, and for how long it can be undone. */
export interface SecretDeleteOptions {
  /** Absent: the whole secret. */
  readonly versions?: readonly string[] | undefined;
  /** Makes it final. */
  readonly permanent?: boolean | undefined;
  /** Days in which it can be restored, where the back end lets the caller choose. */
  readonly recoveryDays?: number | undefined;
}

/** What of a secret is changed beside its values; a `null` removes. */
export interface SecretAnnotation {
  /** Expiry of the current version, epoch milliseconds. */
  readonly expiresAtMs?: number | null | undefined;
  readonly annotations?: Readonly<Record<string, string | null>> | undefined;
}

/** A change that a provider noticed, also one that another process made. */
export interface SecretChange {
  /** Secret that changed. Absent: anything may have changed. */
  readonly path?: string | undefined;
}

/** What a back end can do. */
export interface SecretCapabilities {
  readonly write: boolean;
  readonly list: boolean;
  /** `integer`: 1, 2, 3 … per secret. `none`: only the current value is kept. */
  readonly versionIds: 'integer' | 'token' | 'hash' | 'none';
  /** Whether a secret that is made again after a permanent delete gives out the ids of the one before. Default false. */
  readonly versionIdsReused?: boolean | undefined;
  /** Versions kept per secret; older ones without a stage are destroyed. Absent: no limit. */
  readonly maxVersions?: number | undefined;
  readonly stages: Support;
  /** Whether `current` and `previous` move in one step, so that no reader sees one without the other. */
  readonly atomicPromote: Support;
  /** `version`: one conditional write. `metadata`: the value is stored first and becomes current by a conditional move. */
  readonly compareAndSet: 'version' | 'metadata' | 'none';
  /** Whether a put that is repeated with the same token stores nothing and answers the first one's version. */
  readonly repeatableWrites: Support;
  readonly binary: Support;
  /** Whether a JSON object of texts is stored field by field, as the back end's own tools show it. */
  readonly keyValueMap: Support;
  readonly emptyValue: boolean;
  readonly maxValueBytes: number;
  readonly softDelete: 'version' | 'secret' | 'none';
  /** Days between which the caller of a delete may choose how long it can be undone. Absent: the back end decides. */
  readonly recoveryDays?: { readonly least: number; readonly most: number } | undefined;
  /** What the back end itself does at an expiry; the host refuses expired values in any case. */
  readonly serverExpiry: 'deletes' | 'advisory' | 'none';
  /** Whether tags of the user, expiry and content type can be kept with a value. */
  readonly tags: Support;
  /** Whether facts of the host can be kept beside the secret. */
  readonly annotations: boolean;
  /** Paths that one `getMany` may name; 0: it has none. */
  readonly batchGet: number;
  readonly watch: Support;
  /** Whether it issues credentials that live for some time: `issue`, `renew` and `revoke`. */
  readonly leases: boolean;
  /** Whether values outlive the process. */
  readonly durable: boolean;
  /** `by-version`: a read that names the version sees the write at once, one by stage may not. */
  readonly readAfterWrite: 'strong' | 'by-version' | 'eventual';
  /** Whether the back end keeps an audit log of its own. */
  readonly serverAudit: boolean;
  /** Milliseconds after which every reader sees a write; a rotation waits so long before it promotes. */
  readonly propagationMs: number;
}

/** Answer of one batch: each path is in one of the three. */
export interface StoredSecrets {
  readonly found: ReadonlyMap<string, StoredSecret>;
  readonly absent: readonly string[];
  /** Errors as `get` would have given them. */
  readonly failed: ReadonlyMap<string, Error>;
}

/** A credential that the back end made for this caller and takes back when its time is up. */
export interface IssuedSecret {
  readonly value: Uint8Array;
  /** Names the lease in `renew` and `revoke`. It is no secret, but whoever may revoke needs it only. */
  readonly leaseId: string;
  /** How long it lives from now on, milliseconds. */
  readonly ttlMs: number;
  readonly renewable: boolean;
  readonly contentType?: string | undefined;
}

/**
 * Keeps secrets: one back end, one remote call per method, no cache, no retry, no logging.
 *
 * Paths are in normal form already. Failures are `MnopsError`s that never hold a value: `MNOPS_CORE_CONFLICT` for a
 * compare-and-set that does not hold, `MNOPS_CORE_NOT_FOUND` for a write to a secret or version that does not exist,
 * `MNOPS_SECRETS_VERSION_UNAVAILABLE` with `details.state` for reading a deleted or destroyed version.
 */
export interface SecretProvider extends Spi<'secret-provider'> {
  readonly capabilities: SecretCapabilities;
  /** Present where the provider owns the data and can save and restore it. */
  readonly recoverable?: Recoverable | undefined;
  /** The version asked for, or `undefined` when the secret, the version or the stage does not exist. */
  get(path: string, at: SecretSelector, call: Call): Promise<StoredSecret | undefined>;
  /** Several current values in one call, at most `capabilities.batchGet` paths. A path that fails does not fail the others. */
  getMany?(paths: readonly string[], call: Call): Promise<StoredSecrets>;
  /** Stores a new version. */
  put(path: string, value: Uint8Array, options: SecretPutOptions, call: Call): Promise<SecretVersionRecord>;
  /** Facts, also of a deleted secret; `undefined` when absent. */
  describe(path: string, call: Call): Promise<SecretRecord | undefined>;
  /** Newest first; empty when absent. */
  listVersions(path: string, call: Call): AsyncIterable<SecretVersionRecord>;
  /** Secrets whose path begins with `prefix`, sorted by path, deleted ones included. */
  list(prefix: string, call: Call): AsyncIterable<SecretRecord>;
  /** Changes facts. The rest of the secret stays. */
  annotate?(path: string, change: SecretAnnotation, call: Call): Promise<void>;
  /** Moves a stage, as a compare-and-set on `from`; `to: null` removes it. Moving `current` leaves `previous` on `from`. */
  setStage?(
    path: string,
    stage: SecretStage,
    move: { readonly from: string | null; readonly to: string | null },
    call: Call,
  ): Promise<void>;
  /** Deletes the secret, or the versions given. Absent is success. */
  delete(path: string, options: SecretDeleteOptions, call: Call): Promise<void>;
  /** Undoes a delete that was not permanent. */
  restore?(path: string, options: { readonly versions?: readonly string[] | undefined }, call: Call): Promise<void>;
  /** Changes below `prefix` from now on, of this and of other processes, until the call's signal aborts. */
  watch?(prefix: string, call: Call): AsyncIterable<SecretChange>;
  /** A credential of its own for this caller. `ttlMs` is a wish: the answer says what was granted. */
  issue?(path: string, ttlMs: number | undefined, call: Call): Promise<IssuedSecret>;
  /** Prolongs a lease; the answer says by how much. `MNOPS_CORE_NOT_FOUND` when it has ended or cannot be renewed. */
  renew?(leaseId: string, ttlMs: number | undefined, call: Call): Promise<{ readonly ttlMs: number }>;
  /** Ends a lease at once. An ended one is success. */
  revoke?(leaseId: string, call: Call): Promise<void>;
  /** What was found damaged in the provider's own files since it was opened. */
  damage?(): readonly StorageDamage[];
}

/**
 * How a credential changes. `single-user`: the password of the one user is replaced. `dual-user`: two users take turns,
 * and the one that is not in use is changed, so that the old credential is never touched before its grace ends.
 */
export type RotationStrategy = 'single-user' | 'dual-user';

/** What a rotator is given at each step. */
export interface RotationContext {
  readonly path: string;
  /** One rotation, the same in every repetition of a step. */
  readonly token: string;
  /** How this rotation changes the credential; the same at each of its steps, also when the configuration changed meanwhile. */
  readonly strategy: RotationStrategy;
  /** The value that works now. */
  readonly current: SecretValue;
  /** The value with stage `previous`, if it can be read and is not `current` itself: where a change was lost, it may still work. */
  readonly previous?: SecretValue | undefined;
  /** The new value; present from `apply` on. */
  readonly pending?: SecretValue | undefined;
  /** Current value of the secret that the rotator names as its `admin`, read for this step. */
  readonly admin?: SecretValue | undefined;
  readonly call: Call;
}

/** A context with the new value in it. */
export interface AppliedRotationContext extends RotationContext {
  readonly pending: SecretValue;
}

/**
 * Changes one kind of credential where it is used. Every method may be called again after a crash or a timeout, and must
 * then come to the same end. It holds no state of its own and never prints a value.
 */
export interface Rotator extends Spi<'rotator'> {
  readonly capabilities: {
    /** The strategies that it can follow; at least one. */
    readonly strategies: readonly RotationStrategy[];
    /** Whether the old and the new value of a `single-user` rotation work at the same time between `apply` and `revoke`. With `dual-user` they always do. */
    readonly overlap: boolean;
  };
  /** Path of the secret with the credential that the change is made with. Absent: it needs none but the value itself. */
  readonly admin?: string | undefined;
  /** A new value. Nothing outside is changed. */
  generate(context: RotationContext): Promise<Uint8Array | string>;
  /** The pending value works afterwards. */
  apply(context: AppliedRotationContext): Promise<void>;
  /** Proves that the pending value works, by using it; rejects when it does not. */
  verify(context: AppliedRotationContext): Promise<void>;
  /** `current` (the old value by now) stops working; `pending` is the new one and goes on working. */
  revoke(context: AppliedRotationContext): Promise<void>;
  /** Undoes `apply` after a failed verify or an abort: `current` works, `pending` does not. */
  discard?(context: AppliedRotationContext): Promise<void>;
}
