import { type Campaign, defineCampaign } from '@mnops/tooling/prove';
import { type LoginTarget, startLoginServer } from '../src/rotators/fixtures/server-logins.js';
import { type Killing, killPoints, serverTrial } from '../src/rotators/fixtures/server-trial.js';

/** Trials at the same time; starting a process costs more than its rotations. */
const atOnce = 4;

/** The first trials kill at each of the points; the others kill one or two processes at a random moment. */
function killingOf(trial: number, count: number, random: () => number): Killing {
  const point = count > killPoints.length ? killPoints[trial] : undefined;
  if (point !== undefined) return { point };
  if (count <= killPoints.length && random() < 0.5)
    return { point: killPoints[Math.floor(random() * killPoints.length)] ?? 'applied' };
  return { afterMs: Array.from({ length: random() < 0.7 ? 1 : 2 }, () => random() * 400) };
}

function killCampaign(title: string, target: Omit<LoginTarget, 'port'>, defaultCount: number): Campaign {
  return defineCampaign({
    package: 'secrets',
    suite: 'rotator-kills',
    bar: 'B7',
    name: `${title}: rotation killed at each step, and at random moments in one or two processes`,
    goal: 'the next start converges in one pass to one valid credential',
    defaultCount,
    shortCount: 2,
    needs: [target.server],
    async run({ count, random, fail, progress }) {
      const server = await startLoginServer(target.server);
      const at = { ...target, port: server.port };
      let begun = 0;
      let done = 0;
      const work = async (): Promise<void> => {
        while (begun < count) {
          const killing = killingOf(begun, count, random);
          begun += 1;
          const problems = await serverTrial(server, at, killing);
          if (problems.length > 0) fail(`${JSON.stringify(killing)}: ${problems.join('; ')}`);
          done += 1;
          progress(done);
        }
      };
      try {
        await Promise.all(Array.from({ length: Math.min(atOnce, count) }, work));
      } finally {
        await server.stop();
      }
    },
  });
}

const campaigns: readonly Campaign[] = [
  killCampaign('PostgreSQL, one user', { server: 'postgres', strategy: 'single-user' }, 334),
  killCampaign('PostgreSQL, two users', { server: 'postgres', strategy: 'dual-user' }, 333),
  killCampaign('Redis', { server: 'redis', strategy: 'single-user' }, 333),
];
export default campaigns;
