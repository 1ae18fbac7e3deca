import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DisasterRecoveryManager, files } from '@mnops/dr';
import { type BenchContext, type BenchSuite, defineBench } from '@mnops/tooling/bench';
import { part } from '@mnops/tooling/parts';
import { fewLarge, manySmall, timedRestic, type Usage } from './trees.js';

const passphrase = 'bench';

/** Both sides of one operation: first CPU, then wall time, from the same runs. */
interface Pair {
  readonly name: string;
  readonly bar: string;
  readonly cpuGoal: number;
  readonly wallGoal: number;
  readonly ours: () => Promise<Usage>;
  readonly theirs: () => Usage;
}

/** Measures each side alternately and reports CPU and wall; a run serves both figures. */
async function comparePair(ctx: BenchContext, peer: string, pair: Pair, runs: number): Promise<void> {
  const ours: Usage[] = [];
  const theirs: Usage[] = [];
  for (let run = 0; run < runs; run++) {
    ours.push(await pair.ours());
    theirs.push(pair.theirs());
  }
  for (const [field, unit, goal] of [
    ['cpuMs', 'ms CPU', pair.cpuGoal],
    ['wallMs', 'ms wall', pair.wallGoal],
  ] as const) {
    const next = (samples: readonly Usage[]): (() => number) => {
      let index = 0;
      return () => samples[index++]?.[field] ?? 0;
    };
    await ctx.compare({
      bar: pair.bar,
      name: pair.name,
      unit,
      kind: 'cost',
      goal,
      ours: next(ours),
      peer,
      theirs: next(theirs),
      runs,
    });
  }
}

class Sides {
  readonly #ctx: BenchContext;
  readonly #base: string;
  readonly #tree: string;

  constructor(ctx: BenchContext, base: string, tree: string) {
    this.#ctx = ctx;
    this.#base = base;
    this.#tree = tree;
  }

  get ours(): string {
    return join(this.#base, 'ours');
  }

  get theirs(): string {
    return join(this.#base, 'theirs');
  }

  get target(): string {
    return join(this.#base, 'target');
  }

  /** A new manager each time, so that reading the key and the index is in the figure, as it is in restic's. */
  async run(work: (dr: DisasterRecoveryManager) => Promise<unknown>): Promise<Usage> {
    const dr = new DisasterRecoveryManager({
      key: passphrase,
      sources: [files(this.#tree)],
      repository: { folder: this.ours },
      audit: false,
    });
    return await this.#ctx.cpuTime(async () => {
      await work(dr);
      await dr.stop();
    });
  }

  async first(): Promise<Usage> {
    rmSync(this.ours, { recursive: true, force: true });
    return await this.run((dr) => dr.backup());
  }

  theirFirst(compression: 'auto' | 'off'): Usage {
    rmSync(this.theirs, { recursive: true, force: true });
    timedRestic(this.theirs, passphrase, ['init']);
    return timedRestic(this.theirs, passphrase, ['backup', '--compression', compression, this.#tree]);
  }

  theirNext(): Usage {
    return this.their(['backup', this.#tree]);
  }

  their(args: readonly string[]): Usage {
    return timedRestic(this.theirs, passphrase, args);
  }

  emptyTarget(): void {
    rmSync(this.target, { recursive: true, force: true });
  }
}

/** Least ratio for "at most this share of the peer's cost". */
const share = (ofPeer: number): number => 1 / ofPeer;

async function compareTree(ctx: BenchContext, peer: string, name: string, sides: Sides, runs: number): Promise<void> {
  const small = name.startsWith('A');
  const pairs: Pair[] = [
    {
      name: `first backup, ${name}`,
      bar: '1',
      cpuGoal: share(small ? 0.8 : 0.6),
      wallGoal: share(small ? 0.9 : 0.75),
      ours: () => sides.first(),
      theirs: () => sides.theirFirst('auto'),
    },
    {
      name: `first backup, ${name}, peer without compression`,
      bar: '1',
      cpuGoal: share(small ? 0.8 : 0.6),
      wallGoal: share(small ? 0.9 : 0.75),
      ours: () => sides.first(),
      theirs: () => sides.theirFirst('off'),
    },
    {
      name: `no-change backup, ${name}`,
      bar: '2',
      cpuGoal: share(0.4),
      wallGoal: share(0.4),
      ours: () => sides.run((dr) => dr.backup()),
      theirs: () => sides.theirNext(),
    },
    {
      name: `restore, ${name}`,
      bar: '3',
      cpuGoal: share(small ? 0.6 : 0.8),
      wallGoal: 1,
      ours: async () => {
        sides.emptyTarget();
        return await sides.run((dr) => dr.restore({ target: { folder: sides.target }, verify: false }));
      },
      theirs: () => {
        sides.emptyTarget();
        return sides.their(['restore', 'latest', '--target', sides.target]);
      },
    },
    {
      name: `structure check, ${name}`,
      bar: '4',
      cpuGoal: share(0.6),
      wallGoal: share(0.6),
      ours: () => sides.run((dr) => dr.validate()),
      theirs: () => sides.their(['check']),
    },
    {
      name: `full check, ${name}`,
      bar: '4',
      cpuGoal: share(0.6),
      wallGoal: share(0.6),
      ours: () => sides.run((dr) => dr.validate({ depth: 'full' })),
      theirs: () => sides.their(['check', '--read-data']),
    },
  ];
  for (const pair of pairs) await comparePair(ctx, peer, pair, runs);
}

const suite: BenchSuite = defineBench({
  package: 'dr',
  suite: 'backup',
  async run(ctx) {
    const restic = part('restic');
    if (!restic.available) {
      ctx.note(`restic is not on this machine: ${restic.installLine}`);
      return;
    }
    const count = Number(ctx.args['files'] ?? 20_000);
    const megabytes = Number(ctx.args['megabytes'] ?? 64);
    const runs = Number(ctx.args['runs'] ?? 3);
    const base = mkdtempSync(join(tmpdir(), 'mnops-dr-bench-'));
    try {
      const [a, b] = [join(base, 'a'), join(base, 'b')];
      const aBytes = manySmall(a, count);
      const bBytes = fewLarge(b, 4, megabytes * 1_048_576);
      ctx.note(`A: ${count} files, ${Math.round(aBytes / 1e6)} MB. B: 4 files, ${Math.round(bBytes / 1e6)} MB.`);
      const peer = `restic ${restic.version ?? ''}`.trim();
      for (const [name, tree] of [
        [`A (${count} small files)`, a],
        [`B (4 x ${megabytes} MiB)`, b],
      ] as const) {
        const work = join(base, name.slice(0, 1).toLowerCase().concat('-work'));
        mkdirSync(work);
        await compareTree(ctx, peer, name, new Sides(ctx, work, tree), runs);
        rmSync(work, { recursive: true, force: true });
      }
    } finally {
      rmSync(base, { recursive: true, force: true });
    }
  },
});

export default suite;
