import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MnopsError } from '../errors/mnops-error.js';
import type { Recoverable, SnapshotReader } from '../spi/recoverable.js';
import { type ContractRunner, type ContractSubject, casesOf, identityCases } from './contract.js';
import { type MemorySnapshot, memorySnapshot } from './memory-snapshot.js';
import { testCall } from './test-call.js';

/** A recoverable component under test. */
export interface RecoverableSubject extends ContractSubject<Recoverable> {
  /** Adds data and resolves once it is acknowledged. Each call adds something else. */
  change(): Promise<void>;
  /** Everything the component holds now, in a form that can be compared. */
  content(): Promise<unknown>;
  /** The same for a folder that it was restored into. Needed when `isolatedRestore` is declared. */
  contentOf?(folder: string): Promise<unknown>;
  /** Who notices damaged bytes. `reader`: the component keeps plain files without hashes of its own, so only the reader can. Default `component`. */
  readonly damageFoundBy?: 'component' | 'reader' | undefined;
}

/** Holds a `Recoverable` to its interface: what was acknowledged is in the snapshot and comes back, or there is an error. */
export function recoverableContract(
  runner: ContractRunner,
  name: string,
  create: () => Promise<RecoverableSubject>,
): void {
  runner.describe(`recoverable contract: ${name}`, () => {
    const test = casesOf(runner, create);
    identityCases<Recoverable>(test, 'recoverable');

    test('declares how it can be restored', async ({ provider: { capabilities } }) => {
      assert.ok(['none', 'snapshot', 'continuous'].includes(capabilities.pointInTime), capabilities.pointInTime);
      assert.ok(capabilities.isolatedRestore || capabilities.inPlace, 'at least one kind of restore');
    });

    test('writes files with safe paths, and says how recent they are', async (subject) => {
      await subject.change();
      const { snapshot, summary } = await taken(subject);
      assert.ok(snapshot.files.size > 0, 'the snapshot holds files');
      for (const path of snapshot.files.keys()) {
        assert.ok(!path.split('/').some((segment) => ['', '.', '..'].includes(segment)), `path ${path}`);
      }
      if (summary.lastChangeMs !== undefined)
        assert.ok(Number.isFinite(summary.lastChangeMs), 'lastChangeMs is a time');
    });

    test('leaves its own data as it is', async (subject) => {
      await subject.change();
      const before = await subject.content();
      await taken(subject);
      assert.deepEqual(await subject.content(), before);
    });

    test('holds in the snapshot what was acknowledged before, and nothing later', async (subject) => {
      await subject.change();
      await subject.change();
      const then = await subject.content();
      const { snapshot } = await taken(subject);
      await subject.change();
      await restored(subject, snapshot.reader, async (content) => assert.deepEqual(await content(), then));
    });

    test('restores an empty component', async (subject) => {
      const then = await subject.content();
      const { snapshot } = await taken(subject);
      await subject.change();
      await restored(subject, snapshot.reader, async (content) => assert.deepEqual(await content(), then));
    });

    test('takes a consistent state while data changes', async (subject) => {
      await subject.change();
      const changing = Promise.all([subject.change(), subject.change(), subject.change()]);
      const { snapshot } = await taken(subject);
      await changing;
      await restored(subject, snapshot.reader, async (_, findings) => assert.deepEqual(findings, []));
    });

    test('counts what it restored and finds it whole', async (subject) => {
      await subject.change();
      const { snapshot } = await taken(subject);
      const summary = await restored(subject, snapshot.reader, async (_, findings) => assert.deepEqual(findings, []));
      assert.ok(summary.files > 0, 'files are counted');
      assert.ok(summary.bytes >= 0, 'bytes are counted');
    });

    test('keeps the live data when it restores beside them', async (subject) => {
      if (!subject.provider.capabilities.isolatedRestore) return;
      await subject.change();
      const { snapshot } = await taken(subject);
      await subject.change();
      const live = await subject.content();
      await inFolder((folder) => subject.provider.restore(snapshot.reader, { folder }, testCall()));
      assert.deepEqual(await subject.content(), live);
    });

    test('says so when a file of the snapshot is missing or damaged', async (subject) => {
      if (subject.damageFoundBy === 'reader') return;
      await subject.change();
      await subject.change();
      const { snapshot } = await taken(subject);
      const largest = [...snapshot.files].sort(([, a], [, b]) => b.length - a.length)[0];
      assert.ok(largest !== undefined && largest[1].length > 0, 'the snapshot holds bytes');
      const [path, bytes] = largest;
      snapshot.files.set(path, bytes.subarray(0, Math.floor(bytes.length / 2)));
      await tellsOfDamage(subject, snapshot.reader, `${path} cut in half`);
      for (const other of [...snapshot.files.keys()]) snapshot.files.delete(other);
      await tellsOfDamage(subject, snapshot.reader, 'nothing in the snapshot');
    });

    test('ends with the reason of an aborted call', async (subject) => {
      await subject.change();
      const { snapshot } = await taken(subject);
      const reason = new Error('aborted before');
      const call = testCall({ signal: AbortSignal.abort(reason) });
      const before = await subject.content();
      await assert.rejects(subject.provider.snapshot(memorySnapshot().sink, call), reason);
      const target = subject.provider.capabilities.inPlace ? { inPlace: true as const } : undefined;
      if (target !== undefined) await assert.rejects(subject.provider.restore(snapshot.reader, target, call), reason);
      assert.deepEqual(await subject.content(), before);
    });

    test('refuses the kind of restore that it does not declare', async (subject) => {
      const { capabilities } = subject.provider;
      await subject.change();
      const { snapshot } = await taken(subject);
      const refused = (error: unknown): boolean => MnopsError.is(error, 'MNOPS_CORE_UNSUPPORTED');
      if (!capabilities.inPlace) {
        await assert.rejects(subject.provider.restore(snapshot.reader, { inPlace: true }, testCall()), refused);
      }
      if (!capabilities.isolatedRestore) {
        await inFolder((folder) => {
          return assert.rejects(subject.provider.restore(snapshot.reader, { folder }, testCall()), refused);
        });
      }
    });
  });
}

async function taken(subject: RecoverableSubject): Promise<{
  readonly snapshot: MemorySnapshot;
  readonly summary: Awaited<ReturnType<Recoverable['snapshot']>>;
}> {
  const snapshot = memorySnapshot();
  const summary = await subject.provider.snapshot(snapshot.sink, testCall());
  return { snapshot, summary };
}

/** Restores in every declared way and looks at the result of each. */
async function restored(
  subject: RecoverableSubject,
  reader: SnapshotReader,
  look: (content: () => Promise<unknown>, findings: readonly unknown[]) => Promise<void>,
): Promise<Awaited<ReturnType<Recoverable['restore']>>> {
  const { provider, contentOf } = subject;
  let summary: Awaited<ReturnType<Recoverable['restore']>> | undefined;
  if (provider.capabilities.isolatedRestore) {
    assert.ok(contentOf !== undefined, 'the test says how to read a restored folder');
    await inFolder(async (folder) => {
      summary = await provider.restore(reader, { folder }, testCall());
      await look(() => contentOf(folder), await provider.verify({ folder }, testCall()));
    });
  }
  if (provider.capabilities.inPlace) {
    summary = await provider.restore(reader, { inPlace: true }, testCall());
    await look(() => subject.content(), await provider.verify({ inPlace: true }, testCall()));
  }
  assert.ok(summary !== undefined);
  return summary;
}

/** A damaged snapshot either fails to restore, or the verification of what came back finds something. */
async function tellsOfDamage(subject: RecoverableSubject, reader: SnapshotReader, what: string): Promise<void> {
  const { provider } = subject;
  const told = async (target: { readonly folder: string } | { readonly inPlace: true }): Promise<void> => {
    try {
      await provider.restore(reader, target, testCall());
    } catch (error) {
      assert.ok(MnopsError.is(error), `${what}: a failed restore is a MnopsError, not ${String(error)}`);
      return;
    }
    assert.notEqual((await provider.verify(target, testCall())).length, 0, `${what}: nobody noticed`);
  };
  if (provider.capabilities.isolatedRestore) await inFolder((folder) => told({ folder }));
  else await told({ inPlace: true });
}

async function inFolder<T>(run: (folder: string) => Promise<T>): Promise<T> {
  const parent = await mkdtemp(join(tmpdir(), 'mnops-recoverable-'));
  try {
    return await run(join(parent, 'restored'));
  } finally {
    await rm(parent, { recursive: true, force: true });
  }
}
