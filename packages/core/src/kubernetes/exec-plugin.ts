import { spawn } from 'node:child_process';
import { coreError } from '../errors/core-error.js';
import { safeJsonParse } from '../http/index.js';
import type { Clock } from '../spi/base.js';
import { isRecord } from './status-error.js';
import type { ExecPlugin } from './types.js';

/** Longest output of a plugin that is taken. */
const maxOutputBytes = 1_048_576;

/** What a plugin printed. */
export interface ExecCredential {
  readonly token?: string | undefined;
  readonly clientCertificate?: string | undefined;
  readonly clientKey?: string | undefined;
}

/** A plugin's credential, kept until it ends. */
export interface ExecCredentials {
  /** The credential; the program runs when there is none that is valid, once for all who wait. */
  current(): Promise<ExecCredential>;
  /** The server refused this one: the next `current` runs the program again, unless somebody else did already. */
  refused(credential: ExecCredential): void;
}

/** What a plugin is told about the cluster, where the kubeconfig wants that. */
export interface ExecClusterInfo {
  readonly server: string;
  readonly serverName?: string | undefined;
  readonly ca?: string | undefined;
  readonly insecureSkipTlsVerify?: boolean | undefined;
}

/** Makes the credentials of a plugin. Nothing runs before the first use. */
export function execCredentials(
  plugin: ExecPlugin,
  cluster: () => Promise<ExecClusterInfo>,
  clock: Pick<Clock, 'now'>,
): ExecCredentials {
  let kept: { readonly credential: ExecCredential; readonly endsAtMs: number } | undefined;
  let running: Promise<ExecCredential> | undefined;

  async function renewed(): Promise<ExecCredential> {
    const output = await runPlugin(plugin, await cluster());
    const { credential, endsAtMs } = parsedCredential(output, plugin);
    kept = { credential, endsAtMs };
    return credential;
  }

  return {
    async current() {
      if (kept !== undefined && clock.now() < kept.endsAtMs) return kept.credential;
      running ??= renewed().finally(() => {
        running = undefined;
      });
      return await running;
    },
    refused(credential) {
      if (kept?.credential === credential) kept = undefined;
    },
  };
}

function runPlugin(plugin: ExecPlugin, cluster: ExecClusterInfo): Promise<string> {
  const { command, args = [], env = {}, timeoutMs = 60_000 } = plugin;
  const info = JSON.stringify({
    apiVersion: apiVersionOf(plugin),
    kind: 'ExecCredential',
    spec: { interactive: false, ...(plugin.provideClusterInfo === true ? { cluster: clusterOf(cluster) } : {}) },
  });
  return new Promise((resolve, reject) => {
    // A plugin needs the PATH, the home folder and whatever its vendor reads: it gets this process's environment.
    const child = spawn(command, args, {
      env: { ...process.env, ...env, KUBERNETES_EXEC_INFO: info },
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    });
    const chunks: Buffer[] = [];
    let size = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= maxOutputBytes) chunks.push(chunk);
      else child.kill('SIGKILL');
    });
    child.once('error', (error: NodeJS.ErrnoException) => reject(failed(plugin, error.code ?? 'it did not start')));
    // What the program started may hold its output open for ever; the program itself has said all it will say.
    child.once('exit', (_, signal) => {
      const graceMs = signal === null ? 1_000 : 0;
      const timer = setTimeout(() => child.stdout.destroy(), graceMs);
      child.once('close', () => clearTimeout(timer));
    });
    child.once('close', (code, signal) => {
      if (size > maxOutputBytes) reject(failed(plugin, `it printed more than ${maxOutputBytes} bytes`));
      else if (code === 0) resolve(Buffer.concat(chunks).toString('utf8'));
      else reject(failed(plugin, signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`));
    });
  });
}

function clusterOf({ server, serverName, ca, insecureSkipTlsVerify }: ExecClusterInfo): Record<string, unknown> {
  return {
    server,
    ...(serverName === undefined ? {} : { 'tls-server-name': serverName }),
    ...(insecureSkipTlsVerify === true ? { 'insecure-skip-tls-verify': true } : {}),
    ...(ca === undefined ? {} : { 'certificate-authority-data': Buffer.from(ca).toString('base64') }),
  };
}

function apiVersionOf(plugin: ExecPlugin): string {
  return plugin.apiVersion ?? 'client.authentication.k8s.io/v1';
}

/** What it printed is never quoted: it holds the credential. */
function parsedCredential(
  output: string,
  plugin: ExecPlugin,
): { readonly credential: ExecCredential; readonly endsAtMs: number } {
  let parsed: unknown;
  try {
    parsed = safeJsonParse(output);
  } catch {
    throw failed(plugin, 'it did not print JSON');
  }
  if (!isRecord(parsed) || parsed['kind'] !== 'ExecCredential') throw failed(plugin, 'it printed no ExecCredential');
  if (parsed['apiVersion'] !== apiVersionOf(plugin)) {
    throw failed(plugin, `it did not print the version ${apiVersionOf(plugin)} that was asked for`);
  }
  const status = isRecord(parsed['status']) ? parsed['status'] : {};
  const token = textAt(status, 'token');
  const clientCertificate = textAt(status, 'clientCertificateData');
  const clientKey = textAt(status, 'clientKeyData');
  if ((clientCertificate === undefined) !== (clientKey === undefined)) {
    throw failed(plugin, 'it printed a client certificate without its key, or the key alone');
  }
  if (token === undefined && clientCertificate === undefined) {
    throw failed(plugin, 'it printed neither a token nor a client certificate');
  }
  const expiry = textAt(status, 'expirationTimestamp');
  const endsAtMs = expiry === undefined ? Number.POSITIVE_INFINITY : Date.parse(expiry);
  if (Number.isNaN(endsAtMs)) throw failed(plugin, 'its expirationTimestamp is no date');
  return { credential: { token, clientCertificate, clientKey }, endsAtMs };
}

function textAt(record: Readonly<Record<string, unknown>>, key: string): string | undefined {
  const value = record[key];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function failed(plugin: ExecPlugin, why: string): Error {
  return coreError('MNOPS_CORE_UNAUTHENTICATED', `kubernetes: the exec plugin ${plugin.command} failed: ${why}.`, {
    provider: 'kubernetes',
    operation: 'exec plugin',
    remedy: 'Run it by hand with the arguments of the kubeconfig, and look at what it says.',
    details: { command: plugin.command },
  });
}
