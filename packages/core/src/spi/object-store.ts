import type { Call, Spi } from './base.js';

/** Facts about one stored object. */
export interface ObjectInfo {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Opaque version mark for conditional writes. */
  readonly etag: string;
  /** Epoch milliseconds, of the store's clock. */
  readonly modifiedMs: number;
  /** Epoch milliseconds until which the object cannot be deleted. */
  readonly retainUntilMs?: number | undefined;
}

/** One stored object with its bytes. */
export interface StoredObject extends ObjectInfo {
  /** May be read once. With a range, only its bytes. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** Named blobs: a folder, memory, or a bucket. Names use `/` as separator. */
export interface ObjectStore extends Spi<'object-store'> {
  readonly capabilities: {
    /** `create`: put only when absent; `match`: also only when the etag is as given. */
    readonly conditionalPut: 'none' | 'create' | 'match';
    readonly objectLock: boolean;
    readonly versions: boolean;
    readonly ranges: boolean;
    /** Whether `modifiedMs` is of one clock that all writers share. */
    readonly serverTime: boolean;
    /** Whether a list shows everything acknowledged before it began. */
    readonly completeList: boolean;
    /** Whether any UTF-8 name is accepted. */
    readonly anyName: boolean;
    readonly maxObjectBytes: number;
  };
  /** The object, or `undefined` when absent. `range.end` is exclusive; beyond the end of the object there are no bytes. */
  get(
    name: string,
    call: Call & { readonly range?: { readonly start: number; readonly end?: number | undefined } | undefined },
  ): Promise<StoredObject | undefined>;
  /** The object's facts, or `undefined` when absent. */
  head(name: string, call: Call): Promise<ObjectInfo | undefined>;
  /** Stores the whole object or nothing. Rejects with `MNOPS_CORE_CONFLICT` when a condition does not hold. */
  put(
    name: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    call: Call & {
      readonly size?: number | undefined;
      readonly ifMatch?: string | undefined;
      readonly ifAbsent?: boolean | undefined;
      readonly retainUntilMs?: number | undefined;
    },
  ): Promise<ObjectInfo>;
  /** Objects whose name begins with `prefix`, in the order of their UTF-8 bytes. */
  list(prefix: string, call: Call): AsyncIterable<ObjectInfo>;
  /** Removes the object; absent is success. */
  delete(name: string, call: Call): Promise<void>;
  extendRetention?(name: string, untilMs: number, call: Call): Promise<void>;
}
