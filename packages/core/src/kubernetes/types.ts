import type { HttpClient } from '../http/index.js';
import type { Call, Clock, Credential, JsonValue } from '../spi/base.js';

/** Which kind of object is meant. */
export interface KubernetesResource {
  /** `v1` for the core group, else `<group>/<version>` such as `apps/v1`. */
  readonly apiVersion: string;
  /** Plural as in addresses, such as `secrets`. */
  readonly plural: string;
  readonly namespaced: boolean;
}

/** The metadata that this client looks at; the rest is passed through. */
export interface KubernetesMetadata {
  readonly name: string;
  readonly namespace?: string | undefined;
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly creationTimestamp?: string | undefined;
  readonly deletionTimestamp?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly [field: string]: unknown;
}

/** An object as the server keeps it. `T` claims what stands beside the metadata: check what matters. */
export type KubernetesObject<T = Readonly<Record<string, unknown>>> = {
  readonly apiVersion?: string | undefined;
  readonly kind?: string | undefined;
  readonly metadata: KubernetesMetadata;
} & T;

/** Names one object. */
export interface KubernetesName {
  readonly name: string;
  /** Default: the client's namespace. */
  readonly namespace?: string | undefined;
  /** Such as `status` or `scale`. */
  readonly subresource?: string | undefined;
}

/** Which objects of a kind. */
export interface KubernetesSelection {
  /** Default: the client's namespace; `null`: all of them. */
  readonly namespace?: string | null | undefined;
  /** Such as `app=web,tier!=test`. */
  readonly labelSelector?: string | undefined;
  /** Such as `metadata.name=web`. */
  readonly fieldSelector?: string | undefined;
  /** Metadata alone is sent, so that no value leaves the server. Default false. */
  readonly metadataOnly?: boolean | undefined;
}

/** A list and the state that it shows. */
export interface KubernetesList<T> {
  readonly items: readonly KubernetesObject<T>[];
  /** Where a watch can begin that misses nothing. */
  readonly resourceVersion: string;
}

/** How a write is made. */
export interface KubernetesWriteOptions {
  /** Default: the client's namespace, unless the object names one. */
  readonly namespace?: string | undefined;
  /** Who owns the fields. Default: the client's `fieldManager`. */
  readonly fieldManager?: string | undefined;
  /** The server checks everything and stores nothing. Default false. */
  readonly dryRun?: boolean | undefined;
  readonly subresource?: string | undefined;
}

/** One step of a JSON patch (RFC 6902). */
export interface JsonPatchStep {
  readonly op: 'add' | 'remove' | 'replace' | 'move' | 'copy' | 'test';
  readonly path: string;
  readonly from?: string | undefined;
  readonly value?: JsonValue | undefined;
}

/** What is deleted only if it still is what was seen. */
export interface KubernetesDeleteOptions {
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  /** What becomes of dependents. Default: the server's choice by kind. */
  readonly propagation?: 'foreground' | 'background' | 'orphan' | undefined;
  readonly dryRun?: boolean | undefined;
}

/**
 * What a watch tells. `listed`: everything there is at this moment, at the beginning and whenever changes may have been
 * missed; what is not in it is gone. The others: one change after that.
 */
export type KubernetesWatchEvent<T> =
  | { readonly type: 'listed'; readonly items: readonly KubernetesObject<T>[]; readonly resourceVersion: string }
  | { readonly type: 'added' | 'modified' | 'deleted'; readonly object: KubernetesObject<T> };

/** How a watch is kept alive. */
export interface KubernetesWatchOptions extends KubernetesSelection {
  /** Begin after this version, without a list. Default: list first. */
  readonly resourceVersion?: string | undefined;
  /** Milliseconds without a byte until the connection counts as dead. Default 150_000: the server speaks each minute. */
  readonly idleTimeoutMs?: number | undefined;
}

/**
 * Speaks with a Kubernetes API server. Each method but `list` and `watch` is one exchange, and a second one only where
 * the server refused the credentials and newer ones could be had.
 *
 * Failures are `MnopsError`s by the reason that the server gives, in `details.reason`: `Conflict` and `AlreadyExists` are
 * `MNOPS_CORE_CONFLICT`, `NotFound` is `MNOPS_CORE_NOT_FOUND`, `Forbidden` `MNOPS_CORE_ACCESS_DENIED`, `Unauthorized`
 * `MNOPS_CORE_UNAUTHENTICATED`, `TooManyRequests` `MNOPS_CORE_THROTTLED` with `retryAfterMs`, `Invalid`
 * `MNOPS_CORE_CONFIG_INVALID` with the fields in `details.causes`. The server's own words are in `details.said`, except
 * for Secrets, where they may quote a value.
 */
export interface KubernetesClient {
  /** Namespace that is meant where a call names none: that of the access, else `default`. */
  defaultNamespace(call: Call): Promise<string>;
  /** Version of the server, such as `v1.34.4`. */
  serverVersion(call: Call): Promise<string>;
  /** The object, or `undefined` when there is none of that name. */
  get<T>(
    resource: KubernetesResource,
    at: KubernetesName & { readonly metadataOnly?: boolean | undefined },
    call: Call,
  ): Promise<KubernetesObject<T> | undefined>;
  /** All objects selected, page by page; begins anew when the pages outlive the server's memory of them. */
  list<T>(resource: KubernetesResource, selection: KubernetesSelection, call: Call): Promise<KubernetesList<T>>;
  /** Stores a new object. With `metadata.generateName` the server completes the name. */
  create<T>(
    resource: KubernetesResource,
    object: KubernetesInput,
    options: KubernetesWriteOptions,
    call: Call,
  ): Promise<KubernetesObject<T>>;
  /** Replaces an object. With `metadata.resourceVersion`: only if that is still its version. */
  replace<T>(
    resource: KubernetesResource,
    object: KubernetesInput & { readonly metadata: { readonly name: string } },
    options: KubernetesWriteOptions,
    call: Call,
  ): Promise<KubernetesObject<T>>;
  /** Changes an object by a JSON patch, step by step and all or nothing; a step `test` makes it conditional. */
  jsonPatch<T>(
    resource: KubernetesResource,
    at: KubernetesName,
    steps: readonly JsonPatchStep[],
    options: KubernetesWriteOptions,
    call: Call,
  ): Promise<KubernetesObject<T>>;
  /** Changes an object by a merge patch (RFC 7386): `null` removes a field, a list replaces a list. */
  mergePatch<T>(
    resource: KubernetesResource,
    at: KubernetesName,
    patch: Readonly<Record<string, unknown>>,
    options: KubernetesWriteOptions,
    call: Call,
  ): Promise<KubernetesObject<T>>;
  /**
   * Server-side apply: the fields of the object are as given and owned by the field manager afterwards, fields that it
   * owned before and no longer names are gone, the rest stays. Made when absent.
   *
   * @throws {MnopsError} `MNOPS_CORE_CONFLICT` with `details.causes` naming fields that another manager owns, unless
   * `force` takes them.
   */
  apply<T>(
    resource: KubernetesResource,
    object: KubernetesInput & { readonly metadata: { readonly name: string } },
    options: KubernetesWriteOptions & { readonly force?: boolean | undefined },
    call: Call,
  ): Promise<KubernetesObject<T>>;
  /** Deletes an object. `false`: there was none. With preconditions that do not hold: `MNOPS_CORE_CONFLICT`. */
  delete(
    resource: KubernetesResource,
    at: KubernetesName,
    options: KubernetesDeleteOptions,
    call: Call,
  ): Promise<boolean>;
  /**
   * Changes until the call is aborted, which ends it without an error. Lost connections are made again from the last
   * version seen, with growing waits; where the server no longer knows that version, a new `listed` follows. Rights
   * refused, and what no wait can mend, end it with the error.
   */
  watch<T>(
    resource: KubernetesResource,
    options: KubernetesWatchOptions,
    call: Call,
  ): AsyncGenerator<KubernetesWatchEvent<T>, void, undefined>;
  /** Ends idle and running connections. */
  close(): Promise<void>;
}

/** An object to write: `apiVersion` is that of the resource, `kind` must be given. */
export interface KubernetesInput {
  readonly kind: string;
  readonly metadata: {
    readonly name?: string | undefined;
    readonly generateName?: string | undefined;
    readonly namespace?: string | undefined;
    readonly resourceVersion?: string | undefined;
    readonly labels?: Readonly<Record<string, string>> | undefined;
    readonly annotations?: Readonly<Record<string, string>> | undefined;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

/** A program that prints a credential, as the `exec` of a kubeconfig names it. It runs with the rights of this process. */
export interface ExecPlugin {
  /** Program: a name on `PATH`, or a path. */
  readonly command: string;
  readonly args?: readonly string[] | undefined;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Version of the `ExecCredential` that is spoken. Default `client.authentication.k8s.io/v1`. */
  readonly apiVersion?: 'client.authentication.k8s.io/v1' | 'client.authentication.k8s.io/v1beta1' | undefined;
  /** Whether the program is told about the cluster. Default false. */
  readonly provideClusterInfo?: boolean | undefined;
  /** Milliseconds until it is killed. Default 60_000. */
  readonly timeoutMs?: number | undefined;
}

/** Where an API server is and how to sign in. Texts are PEM; files are read again when they are a minute old. */
export interface ClusterAccess {
  /** `https:` address, with or without a path; `http:` on loopback only. */
  readonly server: string;
  readonly ca?: string | undefined;
  readonly caFile?: string | undefined;
  /** Name that the server's certificate must carry. Default: the host of the address. */
  readonly serverName?: string | undefined;
  /** Takes any certificate, so that anybody on the way can read and change everything. Default false. */
  readonly insecureSkipTlsVerify?: boolean | undefined;
  /** Default: what `namespaceFile` says, else `default`. */
  readonly namespace?: string | undefined;
  readonly namespaceFile?: string | undefined;
  readonly token?: Credential | undefined;
  readonly tokenFile?: string | undefined;
  readonly clientCertificate?: string | undefined;
  readonly clientCertificateFile?: string | undefined;
  readonly clientKey?: Credential | undefined;
  readonly clientKeyFile?: string | undefined;
  readonly exec?: ExecPlugin | undefined;
}

/** Kubeconfig files, merged as kubectl does: the first to say something wins. */
export interface KubeconfigAccess {
  readonly kubeconfig: string | readonly string[];
  /** Default: the files' `current-context`. */
  readonly context?: string | undefined;
  /** Default: that of the context. */
  readonly namespace?: string | undefined;
  /** Whether an `exec` of the files may run a program. Default true. */
  readonly execPlugins?: boolean | undefined;
}

/** The folder of a Pod's service account. */
export interface InClusterAccess {
  readonly inCluster: {
    /** Host and port of the API server: a Pod finds them in `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`. Default `kubernetes.default.svc`, 443. */
    readonly host?: string | undefined;
    readonly port?: number | undefined;
    /** Default `/var/run/secrets/kubernetes.io/serviceaccount`. */
    readonly folder?: string | undefined;
  };
  /** Default: that of the Pod. */
  readonly namespace?: string | undefined;
}

/** Bounds and defaults of a client. */
export interface KubernetesClientOptions {
  readonly access: ClusterAccess | KubeconfigAccess | InClusterAccess;
  /** Owner of fields that are written. Default `mnops`. */
  readonly fieldManager?: string | undefined;
  /** Objects per page of a list. Default 500. */
  readonly pageSize?: number | undefined;
  /** Most objects of one list; more is `MNOPS_CORE_TOO_LARGE`. Default 100_000. */
  readonly maxItems?: number | undefined;
  /** Longest answer, page of a list, or event of a watch, in bytes. Default 16 MiB. */
  readonly maxBytes?: number | undefined;
  /** Milliseconds for one exchange. Default 30_000. */
  readonly timeoutMs?: number | undefined;
  readonly clock?: Clock | undefined;
  /** Spreads the waits of watches, from 0 to 1. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
  /** Makes the exchanges in place of the client's own connections; TLS and client certificates are then its matter. */
  readonly http?: HttpClient | undefined;
}
