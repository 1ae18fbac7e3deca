import { coreError } from '@mnops/core';
import { type HttpClient, type HttpResponse, httpClient } from '@mnops/core/http';
import { loadPeer } from '../../load-peer.js';
import type { NodeVaultLike } from './options.js';
import { isOutage, providerId, vaultError } from './vault-error.js';

/** A client of node-vault around the transport of `@mnops/core/http`. */
export interface OwnClient {
  readonly client: NodeVaultLike;
  close(): Promise<void>;
}

/** What the transport is asked: the options of one request as node-vault passes them on. */
interface TransportInput {
  readonly uri: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly signal?: AbortSignal | undefined;
  readonly operation?: string | undefined;
}

interface TransportAnswer {
  readonly statusCode: number;
  readonly body: unknown;
  readonly request: { readonly path: string };
}

/** The part of node-vault's factory and client that is used here. */
interface NodeVaultClient extends NodeVaultLike {
  token: string | undefined;
  namespace: string | undefined;
  pathPrefix: string;
}
type NodeVaultFactory = (options: Readonly<Record<string, unknown>>) => NodeVaultClient;

/**
 * Loads node-vault and puts our transport inside. Its own is never used, because it attaches the request with token and
 * plaintext to network errors, follows redirects and costs three times as much. Its debug output is off, and nothing of
 * the environment counts.
 *
 * @throws {MnopsError} `MNOPS_CORE_DEPENDENCY_MISSING` with the `npm install` line.
 */
export async function ownClient(address: string, ca: string | undefined): Promise<OwnClient> {
  const factory = await loadNodeVault();
  const http = httpClient(ca === undefined ? {} : { tls: { ca } });
  const client = factory({
    endpoint: address,
    apiVersion: 'v1',
    'request-promise': { defaults: () => (input: TransportInput) => send(http, input) },
    debug: () => undefined,
    mustache: { render: renderRefused },
  });
  // The factory falls back to VAULT_TOKEN, VAULT_NAMESPACE and VAULT_PREFIX: whose token it is must be said by the options.
  client.token = undefined;
  client.namespace = undefined;
  client.pathPrefix = '';
  return { client, close: () => http.close() };
}

function loadNodeVault(): Promise<NodeVaultFactory> {
  return loadPeer('node-vault@0.12', 'HashiCorp Vault', async () => {
    // With a `catch` of its own, bundlers leave a package that is not installed to the moment it is needed.
    const loaded: unknown = await import('node-vault').catch((error: unknown) => Promise.reject(error));
    return (loaded as { readonly default: NodeVaultFactory }).default;
  });
}

/** Paths come here finished; a command that renders one from a template would escape it as HTML. */
function renderRefused(): never {
  throw coreError('MNOPS_CORE_UNSUPPORTED', `${providerId}: generated commands of node-vault are not used.`);
}

async function send(http: HttpClient, input: TransportInput): Promise<TransportAnswer> {
  const { uri, method, headers, json, signal, operation = 'request' } = input;
  const url = new URL(uri);
  if (url.href !== uri) {
    // Dot segments, a bare `?` or blanks would lead to another resource than the one that was built.
    throw coreError('MNOPS_CORE_CONFIG_INVALID', `${providerId}: the address of ${operation} is not in normal form.`, {
      provider: providerId,
      operation,
      remedy: 'Give an address and a mount without `.` and `..` segments, blanks and query.',
    });
  }
  const body = typeof json === 'object' && json !== null ? { json } : {};
  const response = await http.request({ url, method, headers, signal, ...body });
  const { status } = response;
  if (isOutage(status)) throw vaultError(status, operation, response.headers);
  return { statusCode: status, body: bodyOf(response), request: { path: url.pathname } };
}

function bodyOf(response: HttpResponse): unknown {
  const { status, bytes } = response;
  if (status === 200) return response.json();
  if (bytes.length === 0) return undefined;
  try {
    return response.json();
  } catch {
    return undefined; // a proxy's page: the status says enough
  }
}
