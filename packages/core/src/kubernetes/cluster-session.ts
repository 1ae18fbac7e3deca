import { credential, untilAborted } from '../call.js';
import { coreError } from '../errors/core-error.js';
import { type HttpClient, httpClient } from '../http/index.js';
import type { Call, Clock } from '../spi/base.js';
import { type ExecClusterInfo, type ExecCredential, execCredentials } from './exec-plugin.js';
import { type FreshFile, freshFile } from './fresh-file.js';
import type { ClusterAccess } from './types.js';

/** Connections kept for one identity. */
const maxSockets = 64;
/** Idle connections are dropped before a load balancer forgets them. */
const idleMs = 30_000;

/** What a request goes out with at this moment. */
export interface SignedIn {
  readonly http: HttpClient;
  readonly headers: Readonly<Record<string, string>>;
  /** The server refused it. `true`: something newer may be had, so one more try makes sense. */
  refused(): boolean;
}

/** Signs requests to one cluster in. */
export interface ClusterSession {
  /** Namespace that is meant where nobody names one. */
  namespace(): Promise<string>;
  signIn(call: Call): Promise<SignedIn>;
  close(): Promise<void>;
}

interface Identity {
  readonly ca: string | undefined;
  readonly certificate: string | undefined;
  readonly key: string | undefined;
}

/** Makes the session of an access. Nothing is read, run or connected before the first use. */
export function clusterSession(
  access: ClusterAccess,
  options: {
    readonly clock: Clock;
    readonly timeoutMs: number;
    readonly maxBytes: number;
    readonly http: HttpClient | undefined;
  },
): ClusterSession {
  const { clock, timeoutMs, maxBytes } = options;
  const files = new Map<string, FreshFile>();
  const exec = access.exec === undefined ? undefined : execCredentials(access.exec, clusterInfo, clock);
  const clients = new Map<string, Promise<Connections>>();
  assertSafe(access);

  async function fileText(path: string | undefined): Promise<string | undefined> {
    if (path === undefined) return undefined;
    const file = files.get(path) ?? freshFile(path, clock);
    files.set(path, file);
    return await file.text();
  }

  async function clusterInfo(): Promise<ExecClusterInfo> {
    const { server, serverName, insecureSkipTlsVerify } = access;
    return { server, serverName, insecureSkipTlsVerify, ca: access.ca ?? (await fileText(access.caFile)) };
  }

  async function clientFor(identity: Identity): Promise<HttpClient> {
    if (options.http !== undefined) return options.http;
    const name = JSON.stringify(identity);
    const known = clients.get(name);
    if (known !== undefined) return (await known).client;
    // The one before may still answer a request; its connections end by themselves. The one before that may not.
    const outdated = [...clients.keys()].slice(0, -1);
    for (const old of outdated) {
      void clients.get(old)?.then((made) => made.close());
      clients.delete(old);
    }
    const made = connections(access, identity, { timeoutMs, maxBytes });
    clients.set(name, made);
    return (await made).client;
  }

  return {
    async namespace() {
      return access.namespace ?? (await fileText(access.namespaceFile))?.trim() ?? 'default';
    },
    async signIn(call) {
      call.signal.throwIfAborted();
      const plugin: ExecCredential | undefined = exec && (await untilAborted(exec.current(), call.signal));
      const [ca, certificate, key, fileToken] = await Promise.all([
        access.ca ?? fileText(access.caFile),
        plugin?.clientCertificate ?? access.clientCertificate ?? fileText(access.clientCertificateFile),
        plugin?.clientKey ?? keyText(access, call) ?? fileText(access.clientKeyFile),
        fileText(access.tokenFile),
      ]);
      const given = access.token === undefined ? undefined : await credential(access.token, call);
      const token = plugin?.token ?? fileToken?.trim() ?? given;
      call.signal.throwIfAborted();
      return {
        http: await clientFor({ ca, certificate, key }),
        headers: token === undefined || token === '' ? {} : { authorization: `Bearer ${token}` },
        refused: () => {
          if (plugin !== undefined) exec?.refused(plugin);
          for (const file of files.values()) file.renew();
          return exec !== undefined || files.size > 0 || typeof access.token === 'function';
        },
      };
    },
    async close() {
      const open = [...clients.values()];
      clients.clear();
      for (const made of open) await (await made).close();
    },
  };
}

function keyText(access: ClusterAccess, call: Call): Promise<string> | undefined {
  return access.clientKey === undefined ? undefined : credential(access.clientKey, call);
}

interface Connections {
  readonly client: HttpClient;
  close(): Promise<void>;
}

async function connections(
  access: ClusterAccess,
  { ca, certificate, key }: Identity,
  limits: { readonly timeoutMs: number; readonly maxBytes: number },
): Promise<Connections> {
  if (access.server.startsWith('http:')) {
    const client = httpClient(limits);
    return { client, close: () => client.close() };
  }
  const { Agent } = await import('node:https');
  const agent = new Agent({
    keepAlive: true,
    timeout: idleMs,
    maxSockets,
    scheduling: 'lifo',
    rejectUnauthorized: access.insecureSkipTlsVerify !== true,
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(key === undefined ? {} : { key }),
    ...(access.serverName === undefined ? {} : { servername: access.serverName }),
  });
  const client = httpClient({ ...limits, agent });
  const close = async (): Promise<void> => {
    await client.close();
    agent.destroy();
  };
  return { client, close };
}

/** Credentials go over TLS, or to this machine. */
function assertSafe(access: ClusterAccess): void {
  const problem = problemOf(access);
  if (problem === undefined) return;
  const { field, expected } = problem;
  const remedy = `Change \`${field}\`.`;
  throw coreError('MNOPS_CORE_CONFIG_INVALID', `kubernetes: ${field} must be ${expected}.`, {
    provider: 'kubernetes',
    remedy,
    details: { issues: [{ field, expected, received: 'another value', remedy }] },
  });
}

function problemOf(access: ClusterAccess): { readonly field: string; readonly expected: string } | undefined {
  let url: URL;
  try {
    url = new URL(access.server);
  } catch {
    return { field: 'server', expected: 'an absolute address such as https://host:6443' };
  }
  const loopback = url.hostname === 'localhost' || url.hostname === '[::1]' || /^127\./.test(url.hostname);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback)) {
    return { field: 'server', expected: 'an https: address, or http: on loopback' };
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    return { field: 'server', expected: 'an address without user, query and fragment' };
  }
  if (access.insecureSkipTlsVerify === true && (access.ca !== undefined || access.caFile !== undefined)) {
    return { field: 'insecureSkipTlsVerify', expected: 'left out where a certificate authority is given' };
  }
  return undefined;
}
