/** The kinds of provider interface that exist; each names the role of an object, not its vendor. */
export type SpiKind =
  | 'health-source'
  | 'key-wrapper'
  | 'lease'
  | 'log-search'
  | 'log-sink'
  | 'log-source'
  | 'log-store'
  | 'metric-source'
  | 'notifier'
  | 'object-store'
  | 'orchestration-provider'
  | 'recoverable'
  | 'rotator'
  | 'secret-provider'
  | 'secret-resolver'
  | 'service-router'
  | 'trace-exporter';

/** What every provider is: versioned data with a role and a stable kebab-case id. */
export interface Spi<K extends SpiKind> {
  /** Version of the interface; a new meaning becomes an interface of its own. */
  readonly specVersion: 1;
  /** Role of the object. */
  readonly kind: K;
  /** Stable kebab-case name, such as `encrypted-file`; it stands in errors, events and metrics. */
  readonly id: string;
  /** Connects or loads what the provider needs. A host calls it once, before the first use. */
  open?(call: Call): Promise<void>;
  /** Releases what `open` acquired, also before it failed. A host closes only what it opened or tried to; a second call does nothing. */
  close?(call: Call): Promise<void>;
}

/** Whether a back end has an ability itself, has it by emulation in MNOps, or does not have it. */
export type Support = 'native' | 'emulated' | 'none';

/** What users pass to any asynchronous call of a host. */
export interface CallOptions {
  /** Cancels the call; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds until `MNOPS_CORE_TIMEOUT`, retries included. Default: the host's own, mostly 10_000. */
  readonly timeoutMs?: number | undefined;
}

/** What a host passes to a provider with every call. */
export interface Call {
  /** Aborts when the caller gave up or the deadline passed. */
  readonly signal: AbortSignal;
  /** Milliseconds left until the deadline; `Infinity` without one, never negative. */
  remainingMs(): number;
  /** Text behind a `secret://path#key` reference, read at each use so that rotation is followed. */
  secret(reference: string): Promise<string>;
}

/** Source of time. The system's by default; tests inject a fake one. */
export interface Clock {
  /** Wall clock, milliseconds since the Unix epoch. For calendar facts only. */
  now(): number;
  /** Monotonic milliseconds with fractions. For durations and time-to-live. */
  monotonic(): number;
  /** Waits and holds the process meanwhile; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Runs once after `ms`, however long that is. The timer does not hold the process unless `hold` is true. */
  setTimer(ms: number, run: () => void, options?: { readonly hold?: boolean }): Timer;
}

/** A running timer. */
export interface Timer {
  /** Stops the timer; after it fired, or a second time, this does nothing. */
  cancel(): void;
}

/** Text, or a function that yields it at each use. Text of the form `secret://path#key` is resolved through `Call.secret`. */
export type Credential = string | (() => string | Promise<string>);

/** Who a program is, in telemetry and in audit records. */
export interface ServiceIdentity {
  /** Logical name, equal for all replicas. Unset: `MNOPS_SERVICE`, then `OTEL_SERVICE_NAME`. */
  readonly name: string;
  /** Group of services that the name is unique in. */
  readonly namespace?: string | undefined;
  /** Version of the program. Unset: `MNOPS_VERSION`. */
  readonly version?: string | undefined;
  /** Deployment environment, such as `production`. Unset: `MNOPS_ENVIRONMENT`. */
  readonly environment?: string | undefined;
  /** This replica. Unset: `MNOPS_INSTANCE`. */
  readonly instance?: string | undefined;
  /** Deployed revision. Unset: `MNOPS_REVISION`. */
  readonly revision?: string | undefined;
  /** Further facts, such as a region. */
  readonly attributes?: Readonly<Record<string, string>> | undefined;
}

/** State of a host. */
export type HostStatus = 'idle' | 'starting' | 'ready' | 'degraded' | 'stopping' | 'stopped' | 'failed';

/** One judgement of health with its reasons. */
export interface HealthReport {
  readonly status: 'healthy' | 'degraded' | 'unhealthy' | 'unknown';
  /** Sentences for a person; empty when healthy. */
  readonly reasons: readonly string[];
  /** When it was judged, epoch milliseconds. */
  readonly atMs: number;
  /** Reports of the parts that this one was made from, by name. */
  readonly parts?: Readonly<Record<string, HealthReport>> | undefined;
}

/** Any value that JSON can carry. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** What was found damaged in a durable file, and what that cost. */
export interface StorageDamage {
  /** Error code that describes the damage. */
  readonly code: string;
  /** File that is damaged. */
  readonly file: string;
  /** Byte position of the damage. */
  readonly offset: number;
  /** Records lost; 0 when none was, for instance because a second copy of a header was whole. */
  readonly records: number;
  /** What to do about it. */
  readonly remedy: string;
  /** What the newest lost record was about, such as a secret's path, where the record after it tells. */
  readonly path?: string | undefined;
}
