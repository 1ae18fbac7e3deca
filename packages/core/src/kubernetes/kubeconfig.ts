import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, resolve } from 'node:path';
import * as v from 'valibot';
import { parse } from 'yaml';
import { configError } from '../config/parse-options.js';
import { coreError, storageError } from '../errors/core-error.js';
import { codeOf } from '../errors/mnops-error.js';
import type { ClusterAccess, ExecPlugin, KubeconfigAccess } from './types.js';

const maxFileBytes = 4_194_304;

const text = v.optional(v.nullable(v.string()));
const clusterSchema = v.object({
  server: text,
  'certificate-authority': text,
  'certificate-authority-data': text,
  'insecure-skip-tls-verify': v.optional(v.nullable(v.boolean())),
  'tls-server-name': text,
  'proxy-url': text,
});
const execSchema = v.object({
  apiVersion: text,
  command: v.string(),
  args: v.optional(v.nullable(v.array(v.string()))),
  env: v.optional(v.nullable(v.array(v.object({ name: v.string(), value: v.string() })))),
  provideClusterInfo: v.optional(v.nullable(v.boolean())),
  interactiveMode: text,
});
const userSchema = v.object({
  token: text,
  tokenFile: text,
  username: text,
  password: text,
  as: text,
  'client-certificate': text,
  'client-certificate-data': text,
  'client-key': text,
  'client-key-data': text,
  exec: v.optional(v.nullable(execSchema)),
  'auth-provider': v.optional(v.unknown()),
});
const contextSchema = v.object({ cluster: text, user: text, namespace: text });
const named = <S extends v.GenericSchema>(key: string, schema: S) =>
  v.optional(v.nullable(v.array(v.object({ name: v.string(), [key]: v.nullable(schema) }))));
const fileSchema = v.object({
  'current-context': text,
  clusters: named('cluster', clusterSchema),
  users: named('user', userSchema),
  contexts: named('context', contextSchema),
});

type Cluster = v.InferOutput<typeof clusterSchema>;
type User = v.InferOutput<typeof userSchema>;
type Context = v.InferOutput<typeof contextSchema>;

/** One entry with the folder that its relative paths begin at. */
interface Placed<T> {
  readonly value: T;
  readonly folder: string;
}

interface Merged {
  currentContext: string | undefined;
  readonly clusters: Map<string, Placed<Cluster>>;
  readonly users: Map<string, Placed<User>>;
  readonly contexts: Map<string, Placed<Context>>;
}

/**
 * Reads kubeconfig files and gives the access of one context. Files are merged as kubectl does: for each name the first
 * file that has it wins; of several files, absent ones are passed over.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` naming file and field, never a value; `MNOPS_CORE_UNSUPPORTED` for
 * `proxy-url`, `auth-provider`, `username` and `as`; `MNOPS_CORE_STORAGE_FAILED` when a file cannot be read.
 */
export async function kubeconfigAccess(options: KubeconfigAccess): Promise<ClusterAccess> {
  const files = typeof options.kubeconfig === 'string' ? [options.kubeconfig] : options.kubeconfig;
  const merged = await mergedFiles(files);
  const name = options.context ?? merged.currentContext;
  if (name === undefined || name === '') {
    throw wrong('context', 'a context, because no file has a current-context', 'nothing', 'Give `context`.');
  }
  const context = found(merged.contexts, name, 'contexts', 'context').value;
  const cluster = found(merged.clusters, context.cluster ?? '', 'clusters', `contexts.${name}.cluster`);
  const user = context.user ? found(merged.users, context.user, 'users', `contexts.${name}.user`) : undefined;
  return {
    ...clusterAccess(cluster, context.cluster ?? ''),
    ...(user === undefined ? {} : userAccess(user, context.user ?? '', options.execPlugins ?? true)),
    namespace: options.namespace ?? (context.namespace || undefined),
  };
}

async function mergedFiles(files: readonly string[]): Promise<Merged> {
  const merged: Merged = { currentContext: undefined, clusters: new Map(), users: new Map(), contexts: new Map() };
  let seen = 0;
  for (const file of files) {
    const content = await readConfig(file, files.length > 1);
    if (content === undefined) continue;
    seen += 1;
    const folder = dirname(resolve(file));
    merged.currentContext ??= content['current-context'] || undefined;
    addAll(merged.clusters, content.clusters, 'cluster', folder);
    addAll(merged.users, content.users, 'user', folder);
    addAll(merged.contexts, content.contexts, 'context', folder);
  }
  if (seen === 0) throw wrong('kubeconfig', 'at least one file that exists', 'none', 'Name an existing file.');
  return merged;
}

async function readConfig(file: string, mayBeAbsent: boolean): Promise<v.InferOutput<typeof fileSchema> | undefined> {
  let content: string;
  try {
    content = await readFile(file, 'utf8');
  } catch (error) {
    if (mayBeAbsent && codeOf(error) === 'ENOENT') return undefined;
    throw storageError('read', file, error);
  }
  let parsed: unknown;
  try {
    if (content.length > maxFileBytes) throw new Error('too long');
    // Few aliases: a kubeconfig needs none, and many of them can unfold to any size.
    parsed = parse(content, { maxAliasCount: 20, logLevel: 'error' });
  } catch {
    // The parser's own error quotes the file, which holds credentials.
    throw wrong(`kubeconfig ${file}`, 'YAML of at most 4 MiB', 'something else', 'Mend the file.');
  }
  const result = v.safeParse(fileSchema, parsed ?? {});
  if (result.success) return result.output;
  const field = result.issues[0].path?.map(({ key }) => String(key)).join('.') ?? '';
  throw wrong(`${file}: ${field}`, 'what a kubeconfig has there', 'another kind of value', 'Mend the file.');
}

function addAll<T>(
  into: Map<string, Placed<T>>,
  entries: readonly object[] | null | undefined,
  key: string,
  folder: string,
): void {
  for (const entry of entries ?? []) {
    const { name, [key]: value } = entry as { readonly name: string; readonly [key: string]: unknown };
    if (value !== null && value !== undefined && !into.has(name)) into.set(name, { value: value as T, folder });
  }
}

function found<T>(map: ReadonlyMap<string, Placed<T>>, name: string, list: string, field: string): Placed<T> {
  const entry = map.get(name);
  if (entry !== undefined) return entry;
  const known = [...map.keys()].slice(0, 20).join(', ') || 'none';
  throw wrong(field, `a name among ${list}: ${known}`, 'another name', 'Correct the name.');
}

function clusterAccess({ value, folder }: Placed<Cluster>, name: string): ClusterAccess {
  if (value['proxy-url']) throw unsupported(`clusters.${name}.proxy-url`, 'a proxy');
  const { server } = value;
  if (!server) throw wrong(`clusters.${name}.server`, 'an address', 'nothing', 'Set it.');
  const ca = decoded(value['certificate-authority-data'], `clusters.${name}.certificate-authority-data`);
  return {
    server,
    ca,
    caFile: ca === undefined ? placed(value['certificate-authority'], folder) : undefined,
    serverName: value['tls-server-name'] || undefined,
    insecureSkipTlsVerify: value['insecure-skip-tls-verify'] ?? undefined,
  };
}

function userAccess(
  { value, folder }: Placed<User>,
  name: string,
  execPlugins: boolean,
): Omit<ClusterAccess, 'server'> {
  const field = `users.${name}`;
  // Silently ignored, each of these would sign in as somebody else than the file says.
  if (value['auth-provider'] != null)
    throw unsupported(
      `${field}.auth-provider`,
      'an auth provider, which Kubernetes has removed',
      'Use an exec plugin.',
    );
  if (value.username || value.password)
    throw unsupported(`${field}.username`, 'a password, which Kubernetes has removed');
  if (value.as) throw unsupported(`${field}.as`, 'impersonation');
  const clientCertificate = decoded(value['client-certificate-data'], `${field}.client-certificate-data`);
  const clientKey = decoded(value['client-key-data'], `${field}.client-key-data`);
  return {
    // kubectl's order: a token file wins over a token.
    token: value.tokenFile ? undefined : value.token || undefined,
    tokenFile: placed(value.tokenFile, folder),
    clientCertificate,
    clientCertificateFile: clientCertificate === undefined ? placed(value['client-certificate'], folder) : undefined,
    clientKey,
    clientKeyFile: clientKey === undefined ? placed(value['client-key'], folder) : undefined,
    exec: value.exec == null ? undefined : execPlugin(value.exec, field, folder, execPlugins),
  };
}

function execPlugin(
  exec: v.InferOutput<typeof execSchema>,
  field: string,
  folder: string,
  allowed: boolean,
): ExecPlugin {
  if (!allowed) {
    throw unsupported(`${field}.exec`, 'a program, which `execPlugins: false` forbids', 'Give a token, or allow it.');
  }
  const { apiVersion, command, args, env, provideClusterInfo, interactiveMode } = exec;
  if (apiVersion !== 'client.authentication.k8s.io/v1' && apiVersion !== 'client.authentication.k8s.io/v1beta1') {
    throw unsupported(`${field}.exec.apiVersion`, 'a version other than client.authentication.k8s.io/v1 and v1beta1');
  }
  if (interactiveMode === 'Always')
    throw unsupported(`${field}.exec.interactiveMode`, 'a program that needs a terminal');
  return {
    apiVersion,
    command: command.includes('/') && !isAbsolute(command) ? resolve(folder, command) : command,
    args: args ?? [],
    env: Object.fromEntries((env ?? []).map((entry) => [entry.name, entry.value])),
    provideClusterInfo: provideClusterInfo ?? false,
  };
}

function placed(path: string | null | undefined, folder: string): string | undefined {
  return path ? resolve(folder, path) : undefined;
}

function decoded(data: string | null | undefined, field: string): string | undefined {
  if (!data) return undefined;
  const pem = Buffer.from(data, 'base64').toString('utf8');
  if (pem.includes('-----BEGIN ')) return pem;
  throw wrong(field, 'PEM in base64', 'something else', 'Mend the file.');
}

function wrong(field: string, expected: string, received: string, remedy: string): Error {
  return configError('the kubeconfig', [{ field, expected, received, remedy }]);
}

function unsupported(field: string, what: string, remedy = 'Use another way to sign in.'): Error {
  return coreError('MNOPS_CORE_UNSUPPORTED', `kubernetes: ${field} asks for ${what}. That is not supported.`, {
    provider: 'kubernetes',
    remedy,
    details: { field },
  });
}
