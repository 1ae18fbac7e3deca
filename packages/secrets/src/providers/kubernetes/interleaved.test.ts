import { type KubernetesClient, kubernetesClient } from '@mnops/core/kubernetes';
import { type KubernetesFake, kubernetesFake, testCall } from '@mnops/core/testing';
import { afterEach, expect, it } from 'vitest';
import { kubernetesSecrets } from './index.js';
import { nameOfPath, versionName } from './secret-name.js';

const call = testCall();
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A writer whose moves of the pointer wait for what is given, one after the other. */
function writerOf(fake: KubernetesFake, before: (() => Promise<unknown>)[] = []) {
  const client = kubernetesClient({ access: { server: fake.url, token: 'token' } });
  closing.push(() => client.close());
  const waiting: KubernetesClient = Object.assign(Object.create(client), {
    async replace(...given: Parameters<KubernetesClient['replace']>) {
      await before.shift()?.();
      return await client.replace(...given);
    },
  });
  const provider = kubernetesSecrets({ namespace: 'apps', cluster: waiting });
  const put = (token: string): Promise<{ readonly version: string }> =>
    provider.put('shared', Buffer.from(token), { token, stages: ['current'] }, call);
  return { provider, put };
}

function gate() {
  let open = (): void => undefined;
  let reached = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const arrived = new Promise<void>((resolve) => {
    reached = resolve;
  });
  return {
    open,
    arrived,
    pass: async () => {
      reached();
      await opened;
    },
  };
}

it('leaves no value behind whose number was passed over and then became free again', async () => {
  const fake = await kubernetesFake();
  closing.push(() => fake.close());
  fake.tokens.add('token');
  await writerOf(fake).put('first');
  // Two others have stored their values as 2 and 3 and not yet moved the pointer.
  const [second, third] = [gate(), gate()];
  const secondPut = writerOf(fake, [second.pass]).put('second');
  await second.arrived;
  const thirdPut = writerOf(fake, [third.pass]).put('third');
  await third.arrived;
  const ours = writerOf(fake, [
    async () => {
      second.open();
      await secondPut;
    },
    async () => {
      third.open();
      await thirdPut;
    },
  ]);
  const { version } = await ours.put('ours');
  const client = kubernetesClient({ access: { server: fake.url, token: 'token' } });
  closing.push(() => client.close());
  const { items } = await client.list(
    { apiVersion: 'v1', plural: 'secrets', namespaced: true },
    { namespace: 'apps' },
    call,
  );
  const expected = [nameOfPath('shared'), ...['1', '2', '3', version].map((id) => versionName('shared', Number(id)))];
  expect(items.map(({ metadata }) => metadata.name).sort()).toEqual(expected.sort());
});
