import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { clusterAccess } from '../config/index.js';
import { fakeClock } from '../testing/fake-clock.js';
import { testCall } from '../testing/test-call.js';
import { execCredentials } from './exec-plugin.js';
import { inClusterAccess } from './in-cluster.js';
import { kubeconfigAccess } from './kubeconfig.js';
import { kubernetesClient } from './kubernetes-client.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mnops-kubeconfig-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const pem = '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n';
const whole = `
current-context: one
contexts:
- { name: one, context: { cluster: c, user: u, namespace: apps } }
- { name: two, context: { cluster: c } }
clusters:
- name: c
  cluster:
    server: https://one.test:6443
    certificate-authority-data: ${Buffer.from(pem).toString('base64')}
    tls-server-name: api.test
users:
- { name: u, user: { token: canary-token, client-certificate: certs/u.pem, client-key: certs/u.key } }
`;

describe('kubeconfig', () => {
  it('gives the access of the current context, with paths beside the file', async () => {
    expect(await kubeconfigAccess({ kubeconfig: file('config', whole) })).toMatchObject({
      server: 'https://one.test:6443',
      ca: pem,
      serverName: 'api.test',
      namespace: 'apps',
      token: 'canary-token',
      clientCertificateFile: join(folder, 'certs/u.pem'),
      clientKeyFile: join(folder, 'certs/u.key'),
    });
    const other = await kubeconfigAccess({ kubeconfig: file('config', whole), context: 'two', namespace: 'mine' });
    expect(other).toMatchObject({ server: 'https://one.test:6443', namespace: 'mine' });
    expect(other.token).toBeUndefined();
  });

  it('merges files: the first to say something wins, absent ones are passed over', async () => {
    const first = file('a', 'clusters:\n- { name: c, cluster: { server: "https://first.test" } }\n');
    const access = await kubeconfigAccess({ kubeconfig: [join(folder, 'none'), first, file('b', whole)] });
    expect(access).toMatchObject({ server: 'https://first.test', ca: undefined, token: 'canary-token' });
    const none = kubeconfigAccess({ kubeconfig: [join(folder, 'x'), join(folder, 'y')] });
    await expect(none).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFIG_INVALID' });
    const one = kubeconfigAccess({ kubeconfig: join(folder, 'x') });
    await expect(one).rejects.toMatchObject({ code: 'MNOPS_CORE_STORAGE_FAILED' });
  });

  it('refuses what it would otherwise pass over, and says where it stands', async () => {
    const user = (text: string): string => whole.replace(/user: \{ token.*\}/, `user: { ${text} }`);
    for (const [content, field] of [
      [whole.replace('    tls-server-name', '    proxy-url: http://p\n    tls-server-name'), 'clusters.c.proxy-url'],
      [user('as: admin, token: x }'), 'users.u.as'],
      [user('username: a, password: b }'), 'users.u.username'],
      [user('auth-provider: { name: gcp } }'), 'users.u.auth-provider'],
      [user('exec: { apiVersion: client.authentication.k8s.io/v1alpha1, command: x } }'), 'users.u.exec.apiVersion'],
    ] as const) {
      const refused = kubeconfigAccess({ kubeconfig: file('config', content) });
      await expect(refused, field).rejects.toMatchObject({ code: 'MNOPS_CORE_UNSUPPORTED', details: { field } });
    }
    const exec = user('exec: { apiVersion: client.authentication.k8s.io/v1, command: x } }');
    const forbidden = kubeconfigAccess({ kubeconfig: file('config', exec), execPlugins: false });
    await expect(forbidden).rejects.toMatchObject({ code: 'MNOPS_CORE_UNSUPPORTED' });
  });

  it('never quotes a file that it cannot read', async () => {
    for (const content of [
      `${whole}\n}{ canary-token`,
      whole.replace('canary-token', '[canary-token]'),
      '&a [*a, *a]',
    ]) {
      const error = await kubeconfigAccess({ kubeconfig: file('config', content) }).catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code: 'MNOPS_CORE_CONFIG_INVALID' });
      expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('canary-token');
    }
  });

  it('follows the environment as kubectl does', () => {
    const files = ['/a', '/b'];
    expect(clusterAccess({ KUBECONFIG: files.join(delimiter), KUBERNETES_SERVICE_HOST: 'x' })).toEqual({
      kubeconfig: files,
    });
    const pod = clusterAccess({ KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' });
    expect(pod).toEqual({ inCluster: { host: 'fd00::1', port: 6443 } });
    expect('inCluster' in pod && inClusterAccess(pod).server).toBe('https://[fd00::1]:6443');
    expect(clusterAccess({ HOME: '/home/a' })).toEqual({ kubeconfig: '/home/a/.kube/config' });
  });

  it('is asked about only when a call needs it', async () => {
    const kubernetes = kubernetesClient({ access: { kubeconfig: join(folder, 'later') } });
    file('later', whole);
    expect(await kubernetes.defaultNamespace(testCall())).toBe('apps');
    await kubernetes.close();
  });
});

describe('exec plugins', () => {
  function plugin(body: string): { readonly command: string; readonly runs: () => string[] } {
    const command = file('plugin', `#!/bin/sh\necho "$KUBERNETES_EXEC_INFO" >> ${folder}/runs\n${body}\n`);
    chmodSync(command, 0o755);
    return { command, runs: () => readFileSync(join(folder, 'runs'), 'utf8').trim().split('\n') };
  }
  const printed = (apiVersion: string, status: object): string =>
    `cat <<'END'\n${JSON.stringify({ apiVersion, kind: 'ExecCredential', status })}\nEND`;
  const cluster = async () => ({ server: 'https://one.test', ca: pem });

  it('run once for all who wait, again when the credential ends or is refused', async () => {
    const clock = fakeClock();
    const expirationTimestamp = new Date(clock.now() + 60_000).toISOString();
    for (const apiVersion of ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1'] as const) {
      const { command, runs } = plugin(printed(apiVersion, { token: 't', expirationTimestamp }));
      writeFileSync(join(folder, 'runs'), '');
      const credentials = execCredentials({ command, apiVersion, provideClusterInfo: true }, cluster, clock);
      const [first] = await Promise.all([credentials.current(), credentials.current(), credentials.current()]);
      expect(first?.token).toBe('t');
      expect(runs().length).toBe(1);
      const info = JSON.parse(runs()[0] ?? '') as { apiVersion: string; spec: { cluster: { server: string } } };
      expect([info.apiVersion, info.spec.cluster.server]).toEqual([apiVersion, 'https://one.test']);
      if (first !== undefined) credentials.refused(first);
      if (first !== undefined) credentials.refused(first);
      await credentials.current();
      await credentials.current();
      expect(runs().length).toBe(2);
      clock.jumpWallClock(60_000);
      await credentials.current();
      expect(runs().length).toBe(3);
      clock.jumpWallClock(-60_000);
    }
  });

  it('fail with what happened, never with what they printed', async () => {
    const v1 = 'client.authentication.k8s.io/v1';
    for (const body of [
      'echo canary-token; exit 3',
      'echo "{canary-token"',
      printed('client.authentication.k8s.io/v1beta1', { token: 'canary-token' }),
      printed(v1, { clientCertificateData: 'canary-token' }),
      printed(v1, {}),
      printed(v1, { token: 'canary-token', expirationTimestamp: 'soon' }),
      'yes canary-token',
    ]) {
      const credentials = execCredentials({ command: plugin(body).command }, cluster, fakeClock());
      const error = await credentials.current().catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code: 'MNOPS_CORE_UNAUTHENTICATED' });
      expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('canary-token');
    }
    const absent = execCredentials({ command: join(folder, 'absent') }, cluster, fakeClock());
    await expect(absent.current()).rejects.toThrow(/ENOENT/);
  });
});
