import { systemClock } from '../clock.js';
import { coreError } from '../errors/core-error.js';
import type { HttpResponse } from '../http/index.js';
import type { Call } from '../spi/base.js';
import { assertClientOptions } from './client-options.js';
import { type ClusterCalls, clusterCalls } from './cluster-calls.js';
import { listed } from './list.js';
import { isRecord, statusOfBody } from './status-error.js';
import type {
  KubernetesClient,
  KubernetesClientOptions,
  KubernetesInput,
  KubernetesName,
  KubernetesObject,
  KubernetesResource,
  KubernetesWatchEvent,
  KubernetesWatchOptions,
  KubernetesWriteOptions,
} from './types.js';
import { checkedObject, watched } from './watch.js';

const metadataOnly = (kind: string): string => `application/json;as=${kind};g=meta.k8s.io;v=v1`;

/** Bounds and defaults, all of them set. */
interface Settings {
  readonly calls: ClusterCalls;
  readonly fieldManager: string;
  readonly pageSize: number;
  readonly maxItems: number;
  readonly maxBytes: number;
  readonly clock: NonNullable<KubernetesClientOptions['clock']>;
  readonly random: () => number;
}

/**
 * Makes a client of one cluster. It reads no file, runs no program and connects to nothing before the first call, and it
 * reads no environment variables; `clusterAccess` of `@mnops/core/config` makes an `access` from those that kubectl knows.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`
 */
export function kubernetesClient(options: KubernetesClientOptions): KubernetesClient {
  assertClientOptions(options);
  const { fieldManager = 'mnops', pageSize = 500, maxItems = 100_000, maxBytes = 16_777_216 } = options;
  const { timeoutMs = 30_000, clock = systemClock(), random = Math.random, access, http } = options;
  const calls = clusterCalls(access, { clock, timeoutMs, maxBytes, http });
  const settings: Settings = { calls, fieldManager, pageSize, maxItems, maxBytes, clock, random };
  return { ...reads(settings), ...writes(settings), close: () => calls.close() };
}

function reads(
  settings: Settings,
): Pick<KubernetesClient, 'defaultNamespace' | 'serverVersion' | 'get' | 'list' | 'watch'> {
  const { calls, pageSize, maxItems } = settings;
  const list: KubernetesClient['list'] = async (resource, selection, call) => {
    const { namespace, labelSelector, fieldSelector, metadataOnly: bare = false } = selection;
    const headers = bare ? { accept: metadataOnly('PartialObjectMetadataList') } : {};
    const page = async (query: Readonly<Record<string, string | undefined>>): Promise<HttpResponse> => {
      const request = { headers, query: { labelSelector, fieldSelector, limit: String(pageSize), ...query } };
      return await calls.exchange(
        { operation: 'list', resource, namespace },
        request,
        call,
        ({ status }) => status === 410,
      );
    };
    return await listed(page, maxItems);
  };
  return {
    list,
    defaultNamespace: (call) => calls.namespace(call),
    async serverVersion(call) {
      const body = (await calls.plain('/version', call)).json<unknown>();
      const version = isRecord(body) ? body['gitVersion'] : undefined;
      if (typeof version === 'string') return version;
      throw coreError('MNOPS_CORE_RESPONSE_INVALID', 'kubernetes: the answer has no gitVersion.');
    },
    async get<T>(resource: KubernetesResource, options: Parameters<KubernetesClient['get']>[1], call: Call) {
      const { name, namespace, subresource, metadataOnly: bare = false } = options;
      const target = { operation: 'get', resource, namespace, name, subresource };
      const headers = bare ? { accept: metadataOnly('PartialObjectMetadata') } : {};
      const response = await calls.exchange(target, { headers }, call, isAbsent);
      if (response.status === 404) return undefined;
      const object = checkedObject<T>(response.json());
      if (object.metadata.name === name) return object;
      throw coreError('MNOPS_CORE_RESPONSE_INVALID', `kubernetes: the answer is about another object than ${name}.`);
    },
    watch: (resource, options, call) => watchOf(settings, list, resource, options, call),
  };
}

function watchOf<T>(
  { calls, maxBytes, clock, random }: Settings,
  list: KubernetesClient['list'],
  resource: KubernetesResource,
  options: KubernetesWatchOptions,
  call: Call,
): AsyncGenerator<KubernetesWatchEvent<T>, void, undefined> {
  const { namespace, labelSelector, fieldSelector, metadataOnly: bare = false, idleTimeoutMs = 150_000 } = options;
  const headers = bare ? { accept: metadataOnly('PartialObjectMetadata') } : {};
  const open = async (resourceVersion: string): Promise<AsyncIterable<Uint8Array>> => {
    const query = { watch: 'true', allowWatchBookmarks: 'true', resourceVersion, labelSelector, fieldSelector };
    const request = { query, headers, timeoutMs: idleTimeoutMs };
    return (await calls.stream({ operation: 'watch', resource, namespace }, request, call)).body;
  };
  const subject = { operation: 'watch', plural: resource.plural };
  const { resourceVersion } = options;
  return watched<T>(
    { subject, open, list: () => list<T>(resource, options, call), resourceVersion, maxBytes, clock, random },
    call,
  );
}

/** What a write sends, and where to. */
interface Writing {
  readonly operation: string;
  readonly method: string;
  readonly name?: string | undefined;
  readonly content: unknown;
  readonly type?: string | undefined;
  readonly query?: Readonly<Record<string, string | undefined>> | undefined;
}

function writes(
  settings: Settings,
): Pick<KubernetesClient, 'create' | 'replace' | 'jsonPatch' | 'mergePatch' | 'apply' | 'delete'> {
  const { calls } = settings;
  async function write<T>(
    resource: KubernetesResource,
    writing: Writing,
    options: KubernetesWriteOptions,
    call: Call,
  ): Promise<KubernetesObject<T>> {
    const { operation, method, name, content, type = 'application/json', query } = writing;
    const { namespace, subresource, dryRun, fieldManager = settings.fieldManager } = options;
    const dry = dryRun === true ? 'All' : undefined;
    const request = {
      method,
      query: { fieldManager, dryRun: dry, fieldValidation: 'Strict', ...query },
      headers: { 'content-type': type },
      body: JSON.stringify(content),
    };
    const response = await calls.exchange({ operation, resource, namespace, name, subresource }, request, call);
    return checkedObject<T>(response.json());
  }
  const patch = <T>(
    resource: KubernetesResource,
    at: KubernetesName,
    body: Pick<Writing, 'content' | 'type'>,
    options: KubernetesWriteOptions,
    call: Call,
  ): Promise<KubernetesObject<T>> => {
    const { name, namespace = options.namespace, subresource = options.subresource } = at;
    const writing = { operation: 'patch', method: 'PATCH', name, ...body };
    return write<T>(resource, writing, { ...options, namespace, subresource }, call);
  };
  return {
    create: (resource, object, options, call) => {
      const writing = { operation: 'create', method: 'POST', content: whole(object, resource) };
      return write(resource, writing, placed(object, options), call);
    },
    replace: (resource, object, options, call) => {
      const { name } = object.metadata;
      const writing = { operation: 'replace', method: 'PUT', name, content: whole(object, resource) };
      return write(resource, writing, placed(object, options), call);
    },
    jsonPatch: (resource, at, steps, options, call) =>
      patch(resource, at, { content: steps, type: 'application/json-patch+json' }, options, call),
    mergePatch: (resource, at, content, options, call) =>
      patch(resource, at, { content, type: 'application/merge-patch+json' }, options, call),
    apply: (resource, object, { force = false, ...options }, call) => {
      const { name } = object.metadata;
      // JSON is YAML, and this is the only form of apply that every server since 1.16 takes.
      const type = 'application/apply-patch+yaml';
      const query = { force: String(force) };
      const writing = { operation: 'apply', method: 'PATCH', name, content: whole(object, resource), type, query };
      return write(resource, writing, placed(object, options), call);
    },
    async delete(resource, { name, namespace, subresource }, options, call) {
      const target = { operation: 'delete', resource, namespace, name, subresource };
      const response = await calls.exchange(target, { method: 'DELETE', json: deletion(options) }, call, isAbsent);
      return response.status !== 404;
    },
  };
}

const propagationPolicies = { foreground: 'Foreground', background: 'Background', orphan: 'Orphan' } as const;

function deletion(options: Parameters<KubernetesClient['delete']>[2]): Readonly<Record<string, unknown>> {
  const { uid, resourceVersion, propagation, dryRun } = options;
  return {
    kind: 'DeleteOptions',
    apiVersion: 'v1',
    ...(uid === undefined && resourceVersion === undefined ? {} : { preconditions: { uid, resourceVersion } }),
    ...(propagation === undefined ? {} : { propagationPolicy: propagationPolicies[propagation] }),
    ...(dryRun === true ? { dryRun: ['All'] } : {}),
  };
}

/** Absent is what the server's own answer says, not what a wrong address says. */
function isAbsent(response: HttpResponse): boolean {
  return response.status === 404 && statusOfBody(response)?.reason === 'NotFound';
}

function placed(object: KubernetesInput, options: KubernetesWriteOptions): KubernetesWriteOptions {
  return { ...options, namespace: options.namespace ?? object.metadata.namespace };
}

function whole(object: KubernetesInput, resource: KubernetesResource): unknown {
  return { ...object, apiVersion: resource.apiVersion };
}
