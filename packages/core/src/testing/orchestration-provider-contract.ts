import assert from 'node:assert/strict';
import type { OrchestrationProvider, RevisionDescription, RouteState, ServiceConfig } from '../spi/orchestration.js';
import { type ContractRunner, casesOf } from './contract.js';
import { eventually, testCall } from './test-call.js';

/** An orchestration provider under test. */
export interface OrchestrationProviderSubject {
  /** Not opened yet. */
  readonly provider: OrchestrationProvider;
  /** A service that becomes ready, with one port where it answers HTTP. `secret`: a reference that one of its variables is. */
  service(options: { readonly name: string; readonly version: string; readonly secret?: string }): ServiceConfig;
  /** A service whose program ends at once with an exit code, after it wrote the line `last words`. */
  failing(name: string): ServiceConfig;
  close?(): Promise<void>;
}

const patienceMs = 20_000;

/** Holds an `OrchestrationProvider` to its interface: revisions run beside each other, routes count at once, failures say why, records are kept. */
export function orchestrationProviderContract(
  runner: ContractRunner,
  name: string,
  create: () => Promise<OrchestrationProviderSubject>,
): void {
  runner.describe(`orchestration provider contract: ${name}`, () => {
    const test = opened(runner, create);
    identityCase(test);
    revisionCases(test);
    routeCases(test);
    failureCases(test);
    recordCases(test);
  });
}

interface Opened extends OrchestrationProviderSubject {
  readonly changes: string[];
}

type Test = (name: string, body: (subject: Opened) => Promise<void>) => void;

function opened(runner: ContractRunner, create: () => Promise<OrchestrationProviderSubject>): Test {
  return casesOf(runner, async () => {
    const subject = await create();
    const changes: string[] = [];
    await subject.provider.open(
      {
        secret: async (reference) => `value of ${reference}`,
        changed: (service) => void changes.push(service),
        degraded: (reason) => assert.fail(reason),
        recovered: () => undefined,
        damaged: ({ code }) => assert.fail(code),
      },
      testCall(),
    );
    return {
      ...subject,
      changes,
      close: async () => {
        await subject.provider.close({ graceMs: 2_000 });
        await subject.provider.close({ graceMs: 0 });
        await subject.close?.();
      },
    };
  });
}

function revision(config: ServiceConfig): RevisionDescription {
  return { service: config.name, revision: `revision-${config.version ?? ''}`, config };
}

async function readyOf(provider: OrchestrationProvider, service: string, wanted: string, count: number): Promise<void> {
  await eventually(
    async () => {
      const { revisions } = await provider.observe(service, testCall());
      return (revisions.find((one) => one.revision === wanted)?.ready ?? 0) === count;
    },
    { timeoutMs: patienceMs },
  );
}

function identityCase(test: Test): void {
  test('says what it is', async ({ provider }) => {
    assert.equal(provider.specVersion, 1);
    assert.equal(provider.kind, 'orchestration-provider');
    assert.match(provider.id, /^[a-z0-9]+(?:-[a-z0-9]+)*$/);
    assert.equal(provider.router.kind, 'service-router');
  });
}

function revisionCases(test: Test): void {
  test('runs as many instances as are wanted, of two revisions beside each other', async (subject) => {
    const { provider, service, changes } = subject;
    const [one, two] = [service({ name: 'web', version: '1' }), service({ name: 'web', version: '2' })];
    await provider.prepare(one, testCall());
    await provider.setReplicas(revision(one), 2, testCall());
    await provider.setReplicas(revision(one), 2, testCall());
    await provider.setReplicas(revision(two), 1, testCall());
    await readyOf(provider, 'web', 'revision-1', 2);
    await readyOf(provider, 'web', 'revision-2', 1);
    const { revisions } = await provider.observe('web', testCall());
    const names = revisions.flatMap(({ instances }) => instances.map(({ instance }) => instance));
    assert.equal(new Set(names).size, 3, 'three instances with names of their own');
    assert.ok(changes.includes('web'), 'changes are told');
    assert.deepEqual(await provider.services(testCall()), ['web']);
    await provider.setReplicas(revision(one), 0, testCall());
    await eventually(async () => (await provider.observe('web', testCall())).revisions.length === 1, {
      timeoutMs: patienceMs,
    });
  });

  test('knows nothing of a service that is not there, and removing it does nothing', async ({ provider }) => {
    assert.deepEqual((await provider.observe('nobody', testCall())).revisions, []);
    assert.equal(provider.router.address('nobody'), undefined);
    await provider.remove('nobody', testCall());
  });

  test('forgets a service that is removed, its address included', async ({ provider, service }) => {
    const config = service({ name: 'web', version: '1' });
    await provider.prepare(config, testCall());
    await provider.setReplicas(revision(config), 1, testCall());
    await readyOf(provider, 'web', 'revision-1', 1);
    await provider.remove('web', testCall());
    assert.deepEqual(await provider.services(testCall()), []);
    assert.equal(provider.router.address('web'), undefined);
  });
}

function routeCases(test: Test): void {
  test('keeps an address, and sends requests as the route says from the next one on', async ({ provider, service }) => {
    const [one, two] = [service({ name: 'web', version: '1' }), service({ name: 'web', version: '2' })];
    await provider.prepare(one, testCall());
    const address = provider.router.address('web');
    assert.ok(address !== undefined, 'an address before anything runs');
    await provider.prepare(two, testCall());
    assert.deepEqual(provider.router.address('web'), address);
    for (const config of [one, two]) {
      await provider.setReplicas(revision(config), 1, testCall());
      await readyOf(provider, 'web', `revision-${config.version ?? ''}`, 1);
    }
    for (const only of ['revision-1', 'revision-2']) {
      const state: RouteState = { shares: { by: 'instance', revisions: [only] }, hold: false };
      await provider.router.apply('web', state, testCall());
      assert.deepEqual(await provider.router.read('web', testCall()), state);
      const before = await answeredBy(provider, only);
      const answer = await fetch(address.url);
      await answer.arrayBuffer();
      assert.equal(answer.status, 200);
      assert.equal(await answeredBy(provider, only), before + 1);
    }
    assert.equal(provider.router.counts('web').answered, 2);
  });
}

async function answeredBy(provider: OrchestrationProvider, wanted: string): Promise<number> {
  const metric = 'http_server_request_duration_seconds';
  const match = { service: 'web', revision: wanted };
  const samples = await provider.router.figures.query({ metric, reduce: 'count', windowMs: 60_000, match }, testCall());
  return samples[0]?.value ?? 0;
}

function failureCases(test: Test): void {
  test('says why an instance fails, with its last lines', async ({ provider, failing }) => {
    const config = failing('broken');
    await provider.prepare(config, testCall());
    await provider.setReplicas(revision(config), 1, testCall());
    await eventually(
      async () => {
        const [found] = (await provider.observe('broken', testCall())).revisions;
        return (found?.reasons.length ?? 0) > 0;
      },
      { timeoutMs: patienceMs },
    );
    const [found] = (await provider.observe('broken', testCall())).revisions;
    const [reason] = found?.reasons ?? [];
    assert.ok(reason !== undefined && reason.message.length > 0);
    assert.ok(reason.lastLogLines.some((line) => line.includes('last words')));
    const instance = found?.instances[0]?.instance ?? '';
    const lines = await provider.lastLogLines('broken', instance, 5, testCall());
    assert.ok(lines.length <= 5 && lines.some((line) => line.includes('last words')));
  });
}

function recordCases(test: Test): void {
  test('keeps records until they are removed', async ({ provider }) => {
    await provider.writeRecord('web', { state: 'one' }, testCall());
    await provider.writeRecord('web', { state: 'two', list: [1, null] }, testCall());
    assert.deepEqual([...(await provider.records(testCall()))], [['web', { state: 'two', list: [1, null] }]]);
    await provider.writeRecord('web', undefined, testCall());
    assert.equal((await provider.records(testCall())).size, 0);
  });
}
