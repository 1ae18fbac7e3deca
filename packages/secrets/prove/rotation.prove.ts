import { once } from 'node:events';
import { type Campaign, defineCampaign } from '@mnops/tooling/prove';
import { killTrial } from '../src/rotation/fixtures/kill-trial.js';

/** Processes that are killed at the same time; starting one costs more than its rotation. */
const atOnce = 4;

/** Kills a process that rotates without pause at a random moment, and lets the next one recover. */
const campaign: Campaign = defineCampaign({
  package: 'secrets',
  suite: 'rotation',
  bar: 'B7',
  name: 'rotation killed at a random moment',
  goal: 'the next start converges to one valid credential',
  defaultCount: 200,
  shortCount: 4,
  async run({ count, random, fail, progress }) {
    let begun = 0;
    let done = 0;
    const work = async (): Promise<void> => {
      while (begun < count) {
        begun += 1;
        const problems = await trial(random() * 400);
        if (problems.length > 0) fail(problems.join('; '));
        done += 1;
        progress(done);
      }
    };
    await Promise.all(Array.from({ length: Math.min(atOnce, count) }, work));
  },
});

async function trial(delayMs: number): Promise<string[]> {
  const subject = await killTrial();
  try {
    const child = subject.spawn('');
    const exited = once(child, 'exit');
    await Promise.race([once(child.stdout ?? child, 'data'), exited]);
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    child.kill('SIGKILL');
    await exited;
    return await subject.recover();
  } finally {
    await subject.close();
  }
}

export default campaign;
