import { createSign, generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildKubernetes, kubernetesVersion } from './kubernetes-build.js';
import { cacheFolder, findOnPath, isProgram, type Part } from './part.js';
import { askProgram, type ProgramOptions, type ProgramResult, runProgram } from './program.js';
import { freePort, type RunningServer, startServer } from './server.js';

/** A running Kubernetes API server on an etcd of its own, with nothing in it but the namespaces it makes itself. */
export interface KubernetesServer {
  /** `https:` address without a trailing slash. */
  readonly url: string;
  /** Its own temporary folder, removed by `stop`. */
  readonly folder: string;
  /** Authority that signed the server's certificate, PEM. */
  readonly caFile: string;
  /** Tokens that do not end: `admin` may do everything, `stranger` nothing. */
  readonly tokens: { readonly admin: string; readonly stranger: string };
  /** A kubeconfig of the administrator. */
  readonly kubeconfig: string;
  /** A token of a service account that the server takes for some time. It looks again every 10 s at a token it took. */
  serviceAccountToken(
    of: { readonly namespace: string; readonly name: string; readonly uid: string },
    validForMs: number,
  ): string;
  /** Runs the machine's kubectl as administrator. */
  kubectl(args: readonly string[], options?: ProgramOptions): Promise<ProgramResult>;
  /** Ends the API server and starts it again at the same address, over the same data. */
  restart(): Promise<void>;
  /** What the API server has printed since it was last started. */
  log(): string;
  /** Ends both servers and removes the folder. May be called twice. */
  stop(): Promise<void>;
}

/** The API server of Kubernetes on etcd. */
export interface KubernetesPart extends Part {
  readonly id: 'kubernetes';
  /** Path of the API server; empty when it is not available. */
  readonly path: string;
  /** Path of kubectl; empty when this machine has none. */
  readonly kubectl: string;
  start(): Promise<KubernetesServer>;
}

export function kubernetes(): KubernetesPart {
  const folder = join(cacheFolder(), `kubernetes-${kubernetesVersion}`);
  const program = join(folder, 'kube-apiserver');
  const etcd = findOnPath('etcd') ?? '';
  const path = isProgram(program) && etcd !== '' ? program : '';
  return {
    id: 'kubernetes',
    purpose: 'core: Kubernetes client; secrets: Kubernetes Secrets',
    available: path !== '',
    get version() {
      return path === '' ? undefined : askProgram(path, ['--version'], /\d+\.\d+\.\d+/);
    },
    installLine: 'apt-get install -y etcd-server && npm run parts -- install kubernetes   (needs Go 1.24 or newer)',
    install: async (progress) => {
      if (!isProgram(program)) await buildKubernetes(folder, ['kube-apiserver'], progress);
      if (etcd === '') throw new Error('kubernetes needs etcd beside it: apt-get install -y etcd-server');
    },
    path,
    kubectl: findOnPath('kubectl') ?? '',
    start: () => start(path, etcd),
  };
}

async function start(program: string, etcd: string): Promise<KubernetesServer> {
  const folder = mkdtempSync(join(tmpdir(), 'mnops-kubernetes-'));
  const started: { store?: RunningServer; api?: RunningServer } = {};
  const end = async (): Promise<void> => {
    await started.api?.stop();
    await started.store?.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const { tokens, signingKey } = writeKeys(folder);
    const store = await startEtcd(etcd);
    started.store = store;
    const port = await freePort();
    const caFile = join(folder, 'apiserver.crt');
    const launch = (): Promise<RunningServer> => startApiServer(program, { folder, port, storeUrl: store.url, caFile });
    started.api = await launch();
    const url = `https://127.0.0.1:${port}`;
    const kubeconfig = writeKubeconfig(folder, { url, caFile, token: tokens.admin });
    let stopping: Promise<void> | undefined;
    return {
      url,
      folder,
      caFile,
      tokens,
      kubeconfig,
      serviceAccountToken: (of, validForMs) => signedToken(signingKey, of, validForMs),
      kubectl: (args, options = {}) => {
        const env = { ...options.env, KUBECONFIG: kubeconfig, KUBECACHEDIR: join(folder, 'kubectl') };
        return runProgram('kubectl', args, { ...options, env });
      },
      restart: async () => {
        await started.api?.stop();
        started.api = await launch();
      },
      log: () => started.api?.log() ?? '',
      stop: () => {
        stopping ??= end();
        return stopping;
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}

async function startEtcd(program: string): Promise<RunningServer> {
  const peer = `http://127.0.0.1:${await freePort()}`;
  return await startServer({
    id: 'etcd',
    program,
    args: ({ port, folder }) => [
      `--data-dir=${join(folder, 'data')}`,
      `--listen-client-urls=http://127.0.0.1:${port}`,
      `--advertise-client-urls=http://127.0.0.1:${port}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
      '--log-level=error',
    ],
    readyPath: '/health',
  });
}

async function startApiServer(
  program: string,
  at: { readonly folder: string; readonly port: number; readonly storeUrl: string; readonly caFile: string },
): Promise<RunningServer> {
  const file = (name: string): string => join(at.folder, name);
  return await startServer({
    id: 'kube-apiserver',
    program,
    port: at.port,
    args: () => [
      `--etcd-servers=${at.storeUrl}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      `--secure-port=${at.port}`,
      `--cert-dir=${at.folder}`,
      `--token-auth-file=${file('tokens.csv')}`,
      '--authorization-mode=RBAC',
      `--service-account-issuer=${issuer}`,
      `--service-account-key-file=${file('service-account.pub')}`,
      `--service-account-signing-key-file=${file('service-account.key')}`,
      '--service-cluster-ip-range=10.0.0.0/24',
      '--disable-admission-plugins=ServiceAccount',
    ],
    readyPath: () => answersOk(`https://127.0.0.1:${at.port}/readyz`, at.caFile),
  });
}

const issuer = 'https://kubernetes.test';

/** The tokens, and the keys that service account tokens are signed with. */
function writeKeys(folder: string): { readonly tokens: KubernetesServer['tokens']; readonly signingKey: string } {
  const tokens = { admin: randomBytes(16).toString('hex'), stranger: randomBytes(16).toString('hex') };
  const lines = [`${tokens.admin},admin,1,"system:masters"`, `${tokens.stranger},stranger,2`];
  const secretFile = { mode: 0o600 };
  writeFileSync(join(folder, 'tokens.csv'), `${lines.join('\n')}\n`, secretFile);
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  writeFileSync(join(folder, 'service-account.key'), privateKey, secretFile);
  writeFileSync(join(folder, 'service-account.pub'), publicKey);
  return { tokens, signingKey: privateKey };
}

// JSON is YAML, so a kubeconfig needs no YAML writer.
function writeKubeconfig(
  folder: string,
  at: { readonly url: string; readonly caFile: string; readonly token: string },
): string {
  const path = join(folder, 'kubeconfig');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin', namespace: 'default' } }],
    clusters: [{ name: 'test', cluster: { server: at.url, 'certificate-authority': at.caFile } }],
    users: [{ name: 'admin', user: { token: at.token } }],
  };
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
  return path;
}

/** The server forgives a minute past the end, so the end is set that much earlier. */
function signedToken(
  key: string,
  of: { readonly namespace: string; readonly name: string; readonly uid: string },
  validForMs: number,
): string {
  const seconds = Math.floor(Date.now() / 1000);
  const claims = {
    iss: issuer,
    aud: [issuer],
    sub: `system:serviceaccount:${of.namespace}:${of.name}`,
    iat: seconds - 120,
    nbf: seconds - 120,
    exp: seconds - 60 + Math.ceil(validForMs / 1000),
    'kubernetes.io': { namespace: of.namespace, serviceaccount: { name: of.name, uid: of.uid } },
  };
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode(claims)}`;
  return `${text}.${createSign('RSA-SHA256').update(text).sign(key, 'base64url')}`;
}

function answersOk(url: string, caFile: string): Promise<boolean> {
  return new Promise((resolve) => {
    const options = { ca: readFileSync(caFile), agent: false, timeout: 2_000 };
    const outgoing = request(url, options, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    outgoing.on('error', () => resolve(false));
    outgoing.on('timeout', () => outgoing.destroy());
    outgoing.end();
  });
}
