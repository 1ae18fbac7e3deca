import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { coreError } from '../errors/core-error.js';
import { UnsupportedError } from '../errors/mnops-error.js';
import type { Recoverable, SnapshotReader } from '../spi/recoverable.js';
import { failingCases } from './failing-cases.js';
import { type RecoverableSubject, recoverableContract } from './recoverable-contract.js';

interface State {
  values: string[];
  restored: Map<string, string[]>;
}

type Methods = Pick<Recoverable, 'snapshot' | 'restore' | 'verify' | 'capabilities'>;

/** A list in memory whose snapshot is one checked file; a test breaks one rule by `change`. */
async function subject(
  change: (methods: Methods, state: State) => Partial<Methods> = () => ({}),
): Promise<RecoverableSubject> {
  const state: State = { values: [], restored: new Map() };
  let counter = 0;
  async function* encoded(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(JSON.stringify({ values: state.values, check: state.values.length }));
  }
  async function load(from: SnapshotReader): Promise<string[]> {
    const parts: Uint8Array[] = [];
    for await (const part of from.read('list.json')) parts.push(part);
    try {
      const { values, check } = JSON.parse(Buffer.concat(parts).toString()) as { values: string[]; check: number };
      if (values.length === check) return values;
    } catch {
      // below
    }
    throw coreError('MNOPS_CORE_INTEGRITY', 'The list is damaged.');
  }
  const methods: Methods = {
    capabilities: { pointInTime: 'snapshot', isolatedRestore: true, inPlace: true },
    async snapshot(sink, call) {
      call.signal.throwIfAborted();
      await sink.addStream({ path: 'list.json' }, encoded());
      return { lastChangeMs: Date.now() };
    },
    async restore(from, to, call) {
      call.signal.throwIfAborted();
      const values = await load(from);
      if ('inPlace' in to) state.values = values;
      else {
        await mkdir(to.folder, { recursive: true });
        await writeFile(join(to.folder, 'list.json'), JSON.stringify(values));
      }
      return { files: 1, bytes: 1 };
    },
    verify: async () => [],
  };
  return {
    provider: { specVersion: 1, kind: 'recoverable', id: 'reference', ...methods, ...change(methods, state) },
    change: async () => {
      counter += 1;
      state.values = [...state.values, `value ${counter} ${'x'.repeat(50)}`];
    },
    content: async () => state.values,
    contentOf: async (folder) => JSON.parse(await readFile(join(folder, 'list.json'), 'utf8')) as unknown,
  };
}

recoverableContract({ describe, it }, 'a list in memory', () => subject());
for (const [name, isolatedRestore] of [
  ['in place only', false],
  ['beside only', true],
] as const) {
  recoverableContract({ describe, it }, `a list that restores ${name}`, () =>
    subject((good) => ({
      capabilities: { pointInTime: 'none', isolatedRestore, inPlace: !isolatedRestore },
      restore: async (from, to, call) => {
        if ('inPlace' in to === isolatedRestore) throw new UnsupportedError('Not this way.');
        return await good.restore(from, to, call);
      },
    })),
  );
}

describe('recoverableContract catches a component that', () => {
  const leaves = 'leaves its own data as it is';
  const holds = 'holds in the snapshot what was acknowledged before, and nothing later';
  const empty = 'restores an empty component';
  const consistent = 'takes a consistent state while data changes';
  const counts = 'counts what it restored and finds it whole';
  const keeps = 'keeps the live data when it restores beside them';
  const damage = 'says so when a file of the snapshot is missing or damaged';
  const aborted = 'ends with the reason of an aborted call';
  const cases: [string, (good: Methods, state: State) => Partial<Methods>, string[]][] = [
    [
      'declares no restore',
      (good) => ({ capabilities: { ...good.capabilities, isolatedRestore: false, inPlace: false } }),
      [
        'declares how it can be restored',
        holds,
        empty,
        consistent,
        counts,
        'refuses the kind of restore that it does not declare',
      ],
    ],
    [
      'writes a path that leaves',
      (good) => ({
        snapshot: async (sink, call) => {
          await sink.addStream({ path: '../escape' }, (async function* () {})());
          return await good.snapshot(sink, call);
        },
      }),
      [
        'writes files with safe paths, and says how recent they are',
        leaves,
        holds,
        empty,
        consistent,
        counts,
        keeps,
        damage,
        aborted,
        'refuses the kind of restore that it does not declare',
      ],
    ],
    [
      'forgets the last value',
      (good, state) => ({
        snapshot: async (sink, call) => {
          const all = state.values;
          state.values = all.slice(0, -1);
          try {
            return await good.snapshot(sink, call);
          } finally {
            state.values = all;
          }
        },
      }),
      [holds],
    ],
    [
      'empties itself',
      (good, state) => ({
        snapshot: async (sink, call) => {
          const summary = await good.snapshot(sink, call);
          state.values = [];
          return summary;
        },
      }),
      [leaves],
    ],
    [
      'restores over its live data when asked for a folder',
      (good) => ({
        restore: async (from, to, call) => {
          const summary = await good.restore(from, to, call);
          if ('folder' in to) await good.restore(from, { inPlace: true }, call);
          return summary;
        },
      }),
      [keeps],
    ],
    [
      'finds whole data damaged',
      () => ({ verify: async () => [{ path: 'x', severity: 'error', message: 'x' }] }),
      [consistent, counts],
    ],
    [
      'keeps quiet about damage',
      (good) => ({
        restore: async (from, to, call) => {
          try {
            return await good.restore(from, to, call);
          } catch (error) {
            call.signal.throwIfAborted();
            void error;
            return { files: 0, bytes: 0 };
          }
        },
      }),
      [damage],
    ],
    [
      'counts nothing',
      (good) => ({ restore: async (...all) => ({ ...(await good.restore(...all)), files: 0 }) }),
      [counts],
    ],
    [
      'does not listen to aborts',
      (good) => {
        const deaf = { signal: new AbortController().signal, remainingMs: () => 1, secret: async () => '' };
        return {
          snapshot: (sink) => good.snapshot(sink, deaf),
          restore: (from, to) => good.restore(from, to, deaf),
        };
      },
      [aborted],
    ],
    [
      'restores in a way that it does not declare',
      (good) => ({ capabilities: { ...good.capabilities, isolatedRestore: false } }),
      ['refuses the kind of restore that it does not declare'],
    ],
  ];
  it.each(cases)('%s', async (_, change, expected) => {
    const failing = await failingCases((runner) => recoverableContract(runner, 'broken', () => subject(change)));
    expect(failing).toEqual(expected);
  });
});
