import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { MnopsError } from '../errors/mnops-error.js';
import type { Call } from '../spi/base.js';
import type {
  SecretProvider,
  SecretPutOptions,
  SecretRecord,
  SecretVersionRecord,
  StoredSecret,
} from '../spi/secrets.js';
import {
  type ContractRunner,
  type ContractSubject,
  casesOf,
  failure,
  identityCases,
  remoteFailureCases,
} from './contract.js';
import { testCall } from './test-call.js';

/** A secret provider under test, empty at first. */
export interface SecretProviderSubject extends ContractSubject<SecretProvider> {
  /** Puts a value where a provider that cannot write finds it. */
  seed?(path: string, value: string): Promise<void>;
  /** Whether the back end's answers say whose they are, so that another secret's is noticed. Default true. */
  readonly answersNameSecret?: boolean | undefined;
  /** A path below which the back end issues credentials; needed with the capability `leases`. */
  readonly leasePath?: string | undefined;
}

type Case = (subject: SecretProviderSubject) => Promise<void>;
type Test = (name: string, body: Case) => void;

/** Holds a `SecretProvider` to its interface; cases about an ability run where it is declared. */
export function secretProviderContract(
  runner: ContractRunner,
  name: string,
  create: () => Promise<SecretProviderSubject>,
): void {
  runner.describe(`secret provider contract: ${name}`, () => {
    const test = casesOf(runner, create);
    identityCases<SecretProvider>(test, 'secret-provider');
    readCases(test);
    writeCases(test);
    stageCases(test);
    deleteCases(test);
    readOnlyCases(test);
    batchCases(test);
    leaseCases(test);
    listCases(test);
    watchCases(test);
    foreignAnswerCases(test);
    remoteFailureCases<SecretProvider>(test, {
      get: { run: (provider, call) => provider.get('contract/remote', {}, call), readsBody: true },
      describe: { run: (provider, call) => provider.describe('contract/remote', call), readsBody: true },
    });
  });
}

function readCases(test: Test): void {
  test('answers undefined for what does not exist', async ({ provider }) => {
    assert.equal(await provider.get('contract/absent', {}, testCall()), undefined);
    assert.equal(await provider.describe('contract/absent', testCall()), undefined);
    assert.deepEqual(await all(provider.listVersions('contract/absent', testCall())), []);
    if (!provider.capabilities.write) return;
    await put(provider, 'contract/one', 'x');
    assert.equal(await provider.get('contract/one', { version: 'no-such-version' }, testCall()), undefined);
    assert.equal(await provider.get('contract/one', { stage: 'no-such-stage' }, testCall()), undefined);
  });

  test('gives back the bytes that were stored, whatever they are', async ({ provider }) => {
    const { write, binary, emptyValue, maxValueBytes } = provider.capabilities;
    if (!write) return;
    const values = [Buffer.from('text, ümlaut, 🔑'), Buffer.from('{"a": 1}\n'), Buffer.from(' kept blanks ')];
    if (binary !== 'none') values.push(Buffer.from([0, 255, 128, 10, 13]), randomBytes(Math.min(4_096, maxValueBytes)));
    if (emptyValue) values.push(Buffer.alloc(0));
    for (const [index, value] of values.entries()) {
      await put(provider, `contract/bytes-${index}`, value);
      const stored = await must(provider, `contract/bytes-${index}`);
      assert.deepEqual(Buffer.from(stored.value), value);
    }
  });

  test('hands out bytes of its own: changing them changes nothing', async ({ provider }) => {
    if (!provider.capabilities.write) return;
    const given = Buffer.from('unchanged');
    await put(provider, 'contract/own', given);
    given.fill(0);
    (await must(provider, 'contract/own')).value.fill(1);
    assert.equal(textOf(await must(provider, 'contract/own')), 'unchanged');
  });

  test('keeps paths apart, also where one begins with the other', async ({ provider }) => {
    if (!provider.capabilities.write) return;
    const paths = [
      'contract/a',
      'contract/a/b',
      'contract/ab',
      'contract/a.b',
      'contract/ä',
      'contract/%2e%2e',
      'contract/__proto__',
    ];
    for (const path of paths) await put(provider, path, `value of ${path}`);
    for (const path of paths) assert.equal(textOf(await must(provider, path)), `value of ${path}`);
  });

  test('does nothing once the call is aborted', async ({ provider }) => {
    const call = testCall();
    const reason = new Error('aborted before');
    call.abort(reason);
    const options: SecretPutOptions = { token: 't', stages: ['current'] };
    const runs: (() => Promise<unknown>)[] = [() => provider.get('contract/x', {}, call)];
    if (provider.capabilities.write) {
      runs.push(() => provider.put('contract/x', Buffer.from('x'), options, call));
    }
    for (const run of runs) {
      await assert.rejects(run, (error) => error === reason);
    }
    assert.equal(await provider.get('contract/x', {}, testCall()), undefined);
  });
}

function writeCases(test: Test): void {
  test('stores the same version once for one token', async ({ provider }) => {
    if (!provider.capabilities.write || provider.capabilities.repeatableWrites === 'none') return;
    const options: SecretPutOptions = { token: 'contract-token-0123456789-0123456789', stages: ['current'] };
    const first = await provider.put('contract/token', Buffer.from('first'), options, testCall());
    await put(provider, 'contract/token', 'between');
    const again = await provider.put('contract/token', Buffer.from('first'), options, testCall());
    assert.equal(again.version, first.version);
    assert.equal(textOf(await must(provider, 'contract/token')), 'between', 'a repeated put moves no stage');
  });

  test('keeps expiry, content type and tags', async ({ provider }) => {
    if (!provider.capabilities.write || provider.capabilities.tags === 'none') return;
    const expiresAtMs = Date.UTC(2030, 0, 1);
    await put(provider, 'contract/facts', 'x', {
      expiresAtMs,
      contentType: 'text/x-test',
      tags: { team: 'a', __proto__x: 'b' },
    });
    const stored = await must(provider, 'contract/facts');
    assert.equal(stored.contentType, 'text/x-test');
    assert.equal(stored.expiresAtMs, expiresAtMs);
    const record = await facts(provider, 'contract/facts');
    assert.deepEqual({ ...record.tags }, { team: 'a', __proto__x: 'b' });
    assert.equal(record.expiresAtMs, expiresAtMs);
    assert.equal(record.version, stored.version);
  });

  test('compares and sets: of several writers with one condition, one succeeds', async (subject) => {
    const { provider } = subject;
    if (provider.capabilities.compareAndSet === 'none') return;
    if (!provider.capabilities.write) return;
    const { version } = await put(provider, 'contract/cas', 'first', { ifVersion: null });
    const conflict = await failure(subject, () => put(provider, 'contract/cas', 'x', { ifVersion: null }));
    assert.equal(conflict.code, 'MNOPS_CORE_CONFLICT');
    const writes = await Promise.allSettled(
      Array.from({ length: 5 }, (_, index) => put(provider, 'contract/cas', `writer ${index}`, { ifVersion: version })),
    );
    assert.equal(writes.filter(({ status }) => status === 'fulfilled').length, 1);
    for (const write of writes) {
      if (write.status === 'rejected')
        assert.ok(MnopsError.is(write.reason, 'MNOPS_CORE_CONFLICT'), String(write.reason));
    }
  });

  test('changes facts without a new version', async ({ provider }) => {
    if (provider.annotate === undefined) return;
    await put(provider, 'contract/annotated', 'x');
    const before = await all(provider.listVersions('contract/annotated', testCall()));
    await provider.annotate(
      'contract/annotated',
      { expiresAtMs: Date.UTC(2031, 0, 1), annotations: { a: '1', b: '2' } },
      testCall(),
    );
    await provider.annotate('contract/annotated', { annotations: { b: null } }, testCall());
    const record = await facts(provider, 'contract/annotated');
    assert.equal(record.expiresAtMs, Date.UTC(2031, 0, 1));
    assert.equal(record.annotations['a'], '1');
    assert.ok(!('b' in record.annotations), 'null removes');
    await provider.annotate('contract/annotated', { expiresAtMs: null }, testCall());
    assert.equal((await facts(provider, 'contract/annotated')).expiresAtMs, undefined);
    assert.equal((await all(provider.listVersions('contract/annotated', testCall()))).length, before.length);
  });
}

function stageCases(test: Test): void {
  test('keeps versions and says which stage is where', async ({ provider }) => {
    if (!provider.capabilities.write || provider.capabilities.stages === 'none') return;
    const first = await put(provider, 'contract/stages', 'one');
    const second = await put(provider, 'contract/stages', 'two');
    const pending = await put(provider, 'contract/stages', 'three', { stages: ['pending'] });
    assert.equal(new Set([first.version, second.version, pending.version]).size, 3);
    assert.equal(textOf(await must(provider, 'contract/stages')), 'two');
    for (const [at, text] of [
      [{ stage: 'previous' }, 'one'],
      [{ stage: 'pending' }, 'three'],
      [{ version: first.version }, 'one'],
      [{ version: second.version, stage: 'current' }, 'two'],
    ] as const) {
      const stored = await provider.get('contract/stages', at, testCall());
      assert.equal(stored === undefined ? undefined : textOf(stored), text, JSON.stringify(at));
    }
    const wrong = { version: first.version, stage: 'current' };
    assert.equal(
      await provider.get('contract/stages', wrong, testCall()),
      undefined,
      'both must name the same version',
    );
    const { stages } = await facts(provider, 'contract/stages');
    assert.deepEqual({ ...stages }, { current: second.version, previous: first.version, pending: pending.version });
    const versions = await all(provider.listVersions('contract/stages', testCall()));
    const ids = versions.map(({ version }) => version);
    const stored = [pending.version, second.version, first.version];
    if (provider.capabilities.versionIds === 'integer') assert.deepEqual(ids, stored);
    // Ids that do not count may be of the same second: their order is not known then.
    else assert.deepEqual([...ids].sort(), [...stored].sort());
  });

  test('moves a stage as a compare-and-set', async (subject) => {
    const { provider } = subject;
    if (provider.setStage === undefined) return;
    const { setStage } = provider;
    const move = (stage: string, from: string | null, to: string | null): Promise<void> =>
      setStage.call(provider, 'contract/move', stage, { from, to }, testCall());
    const first = await put(provider, 'contract/move', 'one');
    const pending = await put(provider, 'contract/move', 'two', { stages: ['pending'] });
    assert.equal(
      (await failure(subject, () => move('current', pending.version, first.version))).code,
      'MNOPS_CORE_CONFLICT',
    );
    assert.equal(
      (await failure(subject, () => move('current', first.version, 'no-such'))).code,
      'MNOPS_CORE_NOT_FOUND',
    );
    await move('current', first.version, pending.version);
    const { stages } = await facts(provider, 'contract/move');
    assert.equal(stages['current'], pending.version);
    assert.equal(stages['previous'], first.version);
    assert.ok(stages['pending'] === undefined || stages['pending'] === pending.version);
    await move('previous', first.version, null);
    assert.equal((await facts(provider, 'contract/move')).stages['previous'], undefined);
  });
}

function deleteCases(test: Test): void {
  test('deletes softly, says so, and restores', async (subject) => {
    const { provider } = subject;
    if (provider.capabilities.softDelete === 'none' || provider.restore === undefined) return;
    await put(provider, 'contract/deleted', 'back');
    await provider.delete('contract/deleted', {}, testCall());
    const gone = await failure(subject, (call) => provider.get('contract/deleted', {}, call));
    assert.equal(gone.code, 'MNOPS_SECRETS_VERSION_UNAVAILABLE');
    assert.equal(gone.details?.['state'], 'deleted');
    const deleted = await facts(provider, 'contract/deleted');
    assert.ok(deleted.deletedAtMs !== undefined);
    await provider.restore('contract/deleted', {}, testCall());
    assert.equal(textOf(await must(provider, 'contract/deleted')), 'back');
  });

  test('deletes for good, and again without complaint', async ({ provider }) => {
    if (!provider.capabilities.write) return;
    const { version } = await put(provider, 'contract/gone', 'x');
    await provider.delete('contract/gone', { permanent: true }, testCall());
    await provider.delete('contract/gone', { permanent: true }, testCall());
    await provider.delete('contract/never-there', {}, testCall());
    assert.equal(await provider.get('contract/gone', {}, testCall()), undefined);
    const next = await put(provider, 'contract/gone', 'y');
    if (provider.capabilities.versionIdsReused !== true)
      assert.notEqual(next.version, version, 'a version id is not used twice');
  });

  test('destroys single versions', async (subject) => {
    const { provider } = subject;
    if (provider.capabilities.versionIds === 'none' || provider.capabilities.softDelete !== 'version') return;
    const first = await put(provider, 'contract/versions', 'one');
    await put(provider, 'contract/versions', 'two');
    await provider.delete('contract/versions', { versions: [first.version], permanent: true }, testCall());
    const gone = await failure(subject, (call) => provider.get('contract/versions', { version: first.version }, call));
    assert.equal(gone.code, 'MNOPS_SECRETS_VERSION_UNAVAILABLE');
    assert.equal(gone.details?.['state'], 'destroyed');
    assert.equal(textOf(await must(provider, 'contract/versions')), 'two');
  });

  test('says MNOPS_CORE_NOT_FOUND for changes to what does not exist', async (subject) => {
    const { provider } = subject;
    const { annotate, restore, setStage } = provider;
    const changes = [
      annotate && (() => annotate.call(provider, 'contract/absent', { annotations: {} }, testCall())),
      restore && (() => restore.call(provider, 'contract/absent', {}, testCall())),
      setStage && (() => setStage.call(provider, 'contract/absent', 'current', { from: null, to: '1' }, testCall())),
    ];
    for (const change of changes) {
      if (change !== undefined) assert.equal((await failure(subject, change)).code, 'MNOPS_CORE_NOT_FOUND');
    }
  });
}

function readOnlyCases(test: Test): void {
  test('reads what others put there, and refuses to write before anything is sent', async (subject) => {
    const { provider, seed, faults } = subject;
    if (provider.capabilities.write) return;
    assert.ok(seed !== undefined, 'a provider that cannot write is tested with `seed`');
    await seed('contract/one', 'seeded');
    await seed('contract/two', 'other');
    assert.equal(textOf(await must(provider, 'contract/one')), 'seeded');
    assert.equal(textOf(await must(provider, 'contract/two')), 'other');
    assert.ok((await facts(provider, 'contract/one')).version !== undefined);
    const sent = faults?.requests.length;
    const writes: ((call: Call) => Promise<unknown>)[] = [
      (call) => provider.put('contract/x', Buffer.from('x'), { token: 't', stages: ['current'] }, call),
      (call) => provider.delete('contract/x', { permanent: true }, call),
    ];
    for (const write of writes) assert.equal((await failure(subject, write)).code, 'MNOPS_CORE_UNSUPPORTED');
    assert.equal(faults?.requests.length, sent);
  });
}

function foreignAnswerCases(test: Test): void {
  const reads: Readonly<Record<string, (provider: SecretProvider, path: string) => Promise<unknown>>> = {
    get: (provider, path) => provider.get(path, {}, testCall()),
    describe: (provider, path) => provider.describe(path, testCall()),
  };
  for (const [name, read] of Object.entries(reads)) {
    test(`${name}: an answer that is about another secret is refused`, async (subject) => {
      const { provider, faults, answersNameSecret = true } = subject;
      if (faults === undefined || !provider.capabilities.write || !answersNameSecret) return;
      await put(provider, 'contract/mine', 'mine');
      await put(provider, 'contract/other', 'value of the other');
      const before = faults.requests.length;
      await read(provider, 'contract/other');
      const answers = faults.requests.slice(before).flatMap(({ answer }) => answer ?? []);
      assert.ok(answers.length > 0, 'the fake keeps what it answered');
      faults.next(answers);
      const error = await read(provider, 'contract/mine').then(
        () => assert.fail('the other secret was taken for the one that was asked for'),
        (caught: unknown) => caught,
      );
      assert.ok(MnopsError.is(error, 'MNOPS_CORE_RESPONSE_INVALID'), String(error));
      assert.ok(!inspect(error).includes('value of the other'));
    });
  }
}

function batchCases(test: Test): void {
  test('reads several at once, each with its own outcome', async ({ provider }) => {
    assert.equal(provider.getMany !== undefined, provider.capabilities.batchGet > 0);
    if (provider.getMany === undefined || !provider.capabilities.write) return;
    const paths = ['contract/batch-a', 'contract/batch-b', 'contract/batch/ü'];
    for (const path of paths) await put(provider, path, `value of ${path}`);
    const asked = [...paths, 'contract/batch-absent'].slice(-provider.capabilities.batchGet);
    const answer = await provider.getMany(asked, testCall());
    assert.deepEqual([...answer.found.keys()].sort(), asked.slice(0, -1).sort());
    for (const [path, stored] of answer.found) {
      assert.equal(textOf(stored), `value of ${path}`);
      const single = await must(provider, path);
      assert.equal(stored.version, single.version);
      assert.ok(stored.stages.includes('current'));
    }
    assert.deepEqual([...answer.absent], ['contract/batch-absent']);
    assert.equal(answer.failed.size, 0);
  });
}

function leaseCases(test: Test): void {
  test('issues, prolongs and takes back credentials', async (subject) => {
    const { provider, leasePath } = subject;
    const abilities = [provider.issue, provider.renew, provider.revoke].map((method) => method !== undefined);
    assert.deepEqual(
      abilities,
      Array.from({ length: 3 }, () => provider.capabilities.leases),
    );
    const { issue, renew, revoke } = provider;
    if (issue === undefined || renew === undefined || revoke === undefined) return;
    assert.ok(leasePath !== undefined, 'a provider with leases is tested with `leasePath`');
    const first = await issue.call(provider, leasePath, 60_000, testCall());
    const second = await issue.call(provider, leasePath, undefined, testCall());
    assert.notEqual(first.leaseId, second.leaseId);
    assert.ok(!Buffer.from(first.value).equals(second.value), 'each caller has a credential of its own');
    assert.ok(first.ttlMs > 0 && second.ttlMs > 0);
    if (first.renewable) assert.ok((await renew.call(provider, first.leaseId, 60_000, testCall())).ttlMs > 0);
    for (const { leaseId } of [first, second, second]) await revoke.call(provider, leaseId, testCall());
    const ended = await failure(subject, (call) => renew.call(provider, first.leaseId, 60_000, call));
    assert.equal(ended.code, 'MNOPS_CORE_NOT_FOUND');
  });
}

function listCases(test: Test): void {
  test('lists by prefix, sorted, never with a value', async ({ provider }) => {
    if (!provider.capabilities.list || !provider.capabilities.write) return;
    for (const path of ['contract/b', 'contract/a', 'other/c', 'contract'])
      await put(provider, path, `secret-of-${path}`);
    const listed = await all(provider.list('contract/', testCall()));
    assert.deepEqual(
      listed.map(({ path }) => path),
      ['contract/a', 'contract/b'],
    );
    assert.ok(!JSON.stringify(listed).includes('secret-of-'));
    assert.equal((await all(provider.list('', testCall()))).length, 4);
  });
}

function watchCases(test: Test): void {
  test('tells of changes until the call is aborted', async ({ provider }) => {
    if (provider.watch === undefined || !provider.capabilities.write) return;
    const call = testCall();
    const changes = provider.watch('contract/', call)[Symbol.asyncIterator]();
    await put(provider, 'other/unseen', 'x');
    await put(provider, 'contract/seen', 'x');
    const first = await changes.next();
    assert.ok(first.done !== true);
    if (first.value.path !== undefined) assert.equal(first.value.path, 'contract/seen');
    call.abort();
    let end = await changes.next();
    while (end.done !== true) end = await changes.next();
    assert.equal(end.done, true);
  });
}

function put(
  provider: SecretProvider,
  path: string,
  value: string | Uint8Array,
  options: Partial<SecretPutOptions> = {},
): Promise<SecretVersionRecord> {
  const token = `contract-${randomBytes(16).toString('hex')}`;
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return provider.put(path, bytes, { token, stages: ['current'], ...options }, testCall());
}

async function must(provider: SecretProvider, path: string): Promise<StoredSecret> {
  const stored = await provider.get(path, {}, testCall());
  assert.ok(stored !== undefined, `${path} is stored`);
  return stored;
}

async function facts(provider: SecretProvider, path: string): Promise<SecretRecord> {
  const record = await provider.describe(path, testCall());
  assert.ok(record !== undefined, `${path} is described`);
  return record;
}

function textOf({ value }: StoredSecret): string {
  return Buffer.from(value).toString('utf8');
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}
