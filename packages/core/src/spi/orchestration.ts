import type { Call, JsonValue, Spi, StorageDamage, Support } from './base.js';
import type { LogSource } from './log.js';
import type { MetricSource } from './metric-source.js';

/** When and how often an instance is asked, and what counts as an answer. */
export interface ProbeTiming {
  /** Wait before the first try, milliseconds. Default 0. */
  readonly initialDelayMs?: number | undefined;
  /** Distance between tries, milliseconds. Default 1_000; until the first success tries come faster. */
  readonly everyMs?: number | undefined;
  /** A try without an answer for so long has failed, milliseconds. Default 1_000. */
  readonly timeoutMs?: number | undefined;
  /** Successes in a row until it counts. Default 1. */
  readonly successes?: number | undefined;
  /** Failures in a row until it counts. Default 3. */
  readonly failures?: number | undefined;
}

/** A question to an instance: an HTTP path that answers 200 to 399, a port that accepts, a command that exits with 0, or a line in its output. */
export type ProbeConfig = ProbeTiming &
  (
    | { readonly http: { readonly path: string; readonly headers?: Readonly<Record<string, string>> | undefined } }
    | { readonly tcp: true }
    | { readonly exec: readonly string[] }
    | { readonly logLine: string }
  );

/** The program of a service. */
export interface ContainerConfig {
  /** Default: the service's name. */
  readonly name?: string | undefined;
  /** Program and its first arguments. */
  readonly command: readonly string[];
  /** Further arguments. */
  readonly args?: readonly string[] | undefined;
  /** Folder it runs in. Default: that of the supervising process. */
  readonly workingDirectory?: string | undefined;
  /** Variables. A value may be a `secret://path#key` reference, read at each start, or hold `${service:name.url}`, `.host` or `.port` of another service. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
  readonly probes?:
    | {
        /** Until it succeeds the others are not asked; when it fails for good the instance is restarted. */
        readonly startup?: ProbeConfig | undefined;
        /** Whether the instance takes requests. Default: its port accepts; without a port: it has run for half a second. */
        readonly readiness?: ProbeConfig | undefined;
        /** When it fails for good the instance is restarted; asked from the first readiness on. Default none. */
        readonly liveness?: ProbeConfig | undefined;
      }
    | undefined;
}

/** A port that callers use. */
export interface ServicePort {
  readonly name: string;
  /** Number. Default: a free one, which stays the same as long as the service is known. */
  readonly port?: number | undefined;
}

/** Description of one service. */
export interface ServiceConfig {
  /** Lower-case letters, digits and hyphens, at most 63. */
  readonly name: string;
  readonly version?: string | undefined;
  /** Instances. Default 1. */
  readonly replicas?: number | undefined;
  /** The program; exactly one for local processes. */
  readonly containers: readonly ContainerConfig[];
  /** At most one. Without a port the service takes no requests and its instances are not told a `PORT`. */
  readonly ports?: readonly ServicePort[] | undefined;
  /** Services that are deployed first. `started`: once they run. `ready`: once they take requests. */
  readonly dependsOn?: Readonly<Record<string, 'started' | 'ready'>> | undefined;
  /** How long requests in flight may take when an instance is to go, milliseconds. Default 30_000. */
  readonly drainMs?: number | undefined;
  /** How long an instance may take to end after SIGTERM, milliseconds; then SIGKILL. Default 5_000. */
  readonly stopGraceMs?: number | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** State of one instance. */
export type InstanceState =
  | 'starting'
  | 'ready'
  | 'unready'
  | 'draining'
  | 'stopping'
  | 'backoff'
  | 'crash-loop'
  | 'failed';

/** Why something failed, with what the instance said last. */
export interface FailureReason {
  readonly service: string;
  readonly instance?: string | undefined;
  readonly revision?: string | undefined;
  /** Stable word, such as `crash-loop` or `command-not-found`. */
  readonly code: string;
  /** Sentence for a person. */
  readonly message: string;
  readonly exitCode?: number | undefined;
  readonly exitSignal?: string | undefined;
  readonly restarts?: number | undefined;
  /** Newest last; at most 20. */
  readonly lastLogLines: readonly string[];
  /** Epoch milliseconds. */
  readonly seenMs: number;
}

/** One instance as it was observed. */
export interface InstanceStatus {
  readonly instance: string;
  readonly revision: string;
  readonly version?: string | undefined;
  readonly state: InstanceState;
  readonly pid?: number | undefined;
  readonly port?: number | undefined;
  readonly restarts: number;
  /** Epoch milliseconds. */
  readonly startedMs: number;
  /** Since when it has been ready, epoch milliseconds. */
  readonly readySinceMs?: number | undefined;
  /** Whether a process of an earlier supervisor was taken over. */
  readonly adopted: boolean;
  /** Why it does not take requests, in a sentence. */
  readonly message?: string | undefined;
}

/** One revision of a service as it was observed. */
export interface RevisionObservation {
  readonly revision: string;
  readonly config: ServiceConfig;
  readonly desired: number;
  readonly ready: number;
  readonly instances: readonly InstanceStatus[];
  /** Failures that waiting will not mend. */
  readonly reasons: readonly FailureReason[];
}

/** All revisions of a service as they were observed. */
export interface ServiceObservation {
  readonly service: string;
  readonly revisions: readonly RevisionObservation[];
}

/** One revision to be run. */
export interface RevisionDescription {
  readonly service: string;
  readonly revision: string;
  readonly config: ServiceConfig;
}

/** How requests of a service are shared out between revisions: evenly over their instances, or by whole percentages that add up to 100. */
export type RouteShares =
  | { readonly by: 'instance'; readonly revisions: readonly string[] }
  | { readonly by: 'weight'; readonly weights: Readonly<Record<string, number>> };

/** The route of a service. */
export interface RouteState {
  readonly shares: RouteShares;
  /** Whether requests wait, instead of being refused, while no instance can take them. */
  readonly hold: boolean;
}

/** Where a service can be reached. */
export interface ServiceAddress {
  readonly host: string;
  readonly port: number;
  readonly url: string;
}

/** Counts of a service's requests since its route was opened. */
export interface RouteCounts {
  readonly inFlight: number;
  /** Requests that wait for an instance now. */
  readonly holding: number;
  readonly answered: number;
  /** Requests that the router itself could not serve. */
  readonly failed: number;
  /** Requests whose client went away first. */
  readonly aborted: number;
  /** Requests that had to wait for an instance. */
  readonly held: number;
}

/** Sends the requests of services to revisions. */
export interface ServiceRouter extends Spi<'service-router'> {
  readonly capabilities: {
    /** `exact`: any 100 requests in a row hold each revision as often as its weight says. */
    readonly weights: 'exact' | 'replica-share' | 'none';
    readonly hold: boolean;
    /** `observed`: the end of the last request is seen. */
    readonly drain: 'observed' | 'timed';
  };
  /** The address of a service, or `undefined` when it has none. */
  address(service: string): ServiceAddress | undefined;
  /** Current route, or `undefined` when the service has none. */
  read(service: string, call: Call): Promise<RouteState | undefined>;
  /** Replaces the route; it counts from the next request on. */
  apply(service: string, state: RouteState, call: Call): Promise<void>;
  counts(service: string): RouteCounts;
  /** Request figures per service and revision. */
  readonly figures: MetricSource;
}

/** What `open` gives to a provider for as long as it is open. */
export interface OrchestrationProviderContext {
  /** Text behind a `secret://` reference. */
  secret(reference: string): Promise<string>;
  /** Something about this service changed: look again. */
  changed(service: string): void;
  /** Part of the durable state cannot be written. */
  degraded(reason: string): void;
  /** The state can be written again. */
  recovered(reason: string): void;
  /** Part of the durable state was found damaged, and skipped. */
  damaged(damage: StorageDamage): void;
}

/** Runs revisions of services somewhere. */
export interface OrchestrationProvider extends Omit<Spi<'orchestration-provider'>, 'open' | 'close'> {
  readonly capabilities: {
    readonly strategies: Readonly<Record<'recreate' | 'rolling' | 'canary', Support>>;
    /** Whether records and running instances outlive the process that started them. */
    readonly durable: boolean;
  };
  readonly router: ServiceRouter;
  /** What instances write to their standard output and error. */
  readonly logs?: LogSource | undefined;
  /** Connects, and takes over what an earlier process left running. */
  open(context: OrchestrationProviderContext, call: Call): Promise<void>;
  /** Ends what belongs to this process. `graceMs`: for requests in flight and instances to end. */
  close(options: { readonly graceMs: number }): Promise<void>;
  /** What of a description cannot be run here; empty when all of it can. */
  check(config: ServiceConfig): readonly { readonly field: string; readonly message: string }[];
  /** Gives the service its address and keeps it; a service without ports has none. */
  prepare(config: ServiceConfig, call: Call): Promise<void>;
  /** Runs a revision with so many instances; the same call again does nothing. Instances that are too many are drained first. */
  setReplicas(revision: RevisionDescription, replicas: number, call: Call): Promise<void>;
  /** Names of the services that something is known of. */
  services(call: Call): Promise<readonly string[]>;
  observe(service: string, call: Call): Promise<ServiceObservation>;
  /** What an instance wrote last, newest last. */
  lastLogLines(service: string, instance: string, count: number, call: Call): Promise<readonly string[]>;
  /** Stops everything of a service and forgets it, its address included. */
  remove(service: string, call: Call): Promise<void>;
  /** The rollout records that were kept, by service. */
  records(call: Call): Promise<ReadonlyMap<string, JsonValue>>;
  /** Keeps a record; durable, where the provider is, once it resolves. `undefined` removes it. */
  writeRecord(service: string, record: JsonValue | undefined, call: Call): Promise<void>;
}
