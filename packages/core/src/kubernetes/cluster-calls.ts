import { coreError } from '../errors/core-error.js';
import type { HttpResponse, HttpStreamResponse } from '../http/index.js';
import type { Call } from '../spi/base.js';
import { type ClusterSession, clusterSession } from './cluster-session.js';
import { inClusterAccess } from './in-cluster.js';
import { type ClusterRequest, send, sendStreamed } from './requests.js';
import { checkedNamespace, resourcePath } from './resource-path.js';
import { answerError } from './status-error.js';
import type { ClusterAccess, KubernetesClientOptions, KubernetesResource } from './types.js';

/** What a request is about. */
export interface Target {
  readonly operation: string;
  readonly resource: KubernetesResource;
  /** `undefined`: the client's own; `null`: all namespaces. */
  readonly namespace: string | null | undefined;
  readonly name?: string | undefined;
  readonly subresource?: string | undefined;
}

/** A request, but for its address. */
export type TargetRequest = Omit<ClusterRequest, 'url'> & {
  readonly query?: Readonly<Record<string, string | undefined>> | undefined;
};

/** Exchanges with one cluster. */
export interface ClusterCalls {
  /** One exchange about a target. An answer that is neither 2xx nor `expected` is an error. */
  exchange(
    target: Target,
    request: TargetRequest,
    call: Call,
    expected?: (response: HttpResponse) => boolean,
  ): Promise<HttpResponse>;
  /** The same with the body still on its way. */
  stream(target: Target, request: TargetRequest, call: Call): Promise<HttpStreamResponse>;
  /** One exchange about a path that belongs to no kind. */
  plain(path: string, call: Call): Promise<HttpResponse>;
  namespace(call: Call): Promise<string>;
  close(): Promise<void>;
}

/** Makes the exchanges of a client. */
export function clusterCalls(
  access: KubernetesClientOptions['access'],
  limits: Parameters<typeof clusterSession>[1],
): ClusterCalls {
  const connect = sessions(access, (found) => clusterSession(found, limits));

  async function addressed(target: Target, { query = {}, ...rest }: TargetRequest, call: Call) {
    const { session, server } = await connect(call);
    const { resource, name, subresource } = target;
    const everywhere = target.namespace === null || !resource.namespaced;
    const namespace = everywhere ? undefined : (target.namespace ?? (await session.namespace()));
    const url = resourcePath(server, resource, { namespace, name, subresource });
    for (const [key, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(key, value);
    return { session, request: { ...rest, url } };
  }

  return {
    async exchange(target, request, call, expected = () => false) {
      const ready = await addressed(target, request, call);
      const response = await send(ready.session, ready.request, call);
      if ((response.status >= 200 && response.status < 300) || expected(response)) return response;
      throw answerError(response, { ...target, plural: target.resource.plural });
    },
    async stream(target, request, call) {
      const ready = await addressed(target, request, call);
      const response = await sendStreamed(ready.session, ready.request, call);
      if (response.status === 200) return response;
      throw answerError(await response.buffered(), { ...target, plural: target.resource.plural });
    },
    async plain(path, call) {
      const { session, server } = await connect(call);
      const url = new URL(server);
      url.pathname = `${url.pathname.replace(/\/+$/, '')}${path}`;
      const response = await send(session, { url }, call);
      if (response.status === 200) return response;
      throw answerError(response, { operation: `get ${path}` });
    },
    async namespace(call) {
      return await (await connect(call)).session.namespace();
    },
    close: () => connect.close(),
  };
}

interface Connected {
  readonly session: ClusterSession;
  readonly server: string;
}

/** The session, made at the first use; one that could not be made is tried anew at the next. */
function sessions(
  access: KubernetesClientOptions['access'],
  make: (access: ClusterAccess) => ClusterSession,
): { (call: Call): Promise<Connected>; close(): Promise<void> } {
  let connected: Promise<Connected> | undefined;
  let closed = false;
  const resolve = async (): Promise<Connected> => {
    const found = await resolvedAccess(access);
    if (found.namespace !== undefined) checkedNamespace(found.namespace);
    return { session: make(found), server: found.server };
  };
  const connect = async (call: Call): Promise<Connected> => {
    call.signal.throwIfAborted();
    if (closed) throw coreError('MNOPS_CORE_CLOSED', 'The Kubernetes client was closed.', { provider: 'kubernetes' });
    connected ??= resolve().catch((error: unknown) => {
      connected = undefined;
      throw error;
    });
    return await connected;
  };
  const close = async (): Promise<void> => {
    closed = true;
    await (await connected?.catch(() => undefined))?.session.close();
  };
  return Object.assign(connect, { close });
}

async function resolvedAccess(access: KubernetesClientOptions['access']): Promise<ClusterAccess> {
  if ('inCluster' in access) return inClusterAccess(access);
  if (!('kubeconfig' in access)) return access;
  // The parser of YAML is loaded by those who have a file.
  const { kubeconfigAccess } = await import('./kubeconfig.js');
  return await kubeconfigAccess(access);
}
