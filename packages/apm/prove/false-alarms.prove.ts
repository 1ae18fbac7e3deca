import { type Campaign, defineCampaign } from '@mnops/tooling/prove';
import { type SimulatedTraffic, simulate } from '../src/testing/simulated-traffic.js';

const steady = { lengthMs: 200_000, perSecond: 50, medianMs: 8 };
const variants: readonly Partial<SimulatedTraffic>[] = [
  {},
  { spread: 1, perSecond: 20 },
  { wander: 0.15 },
  { wander: 0.25, spread: 1 },
  { errorShare: 0.03 },
  { errorShare: 0.3 },
  { perSecond: 1.5 },
  { perSecond: 6 },
];
const faults: readonly Partial<SimulatedTraffic>[] = [
  { faults: [{ fromMs: 60_000, toMs: 120_000, share: 0.25, addMs: 120, failShare: 0.05 }] },
  { faults: [{ fromMs: 60_000, toMs: 120_000, share: 1, addMs: 30 }] },
  { faults: [{ fromMs: 60_000, toMs: 120_000, share: 1, failShare: 0.05 }] },
  { faults: [{ fromMs: 60_000, toMs: 120_000, share: 1, dropShare: 0.9 }] },
];

const campaign: Campaign = defineCampaign({
  package: 'apm',
  suite: 'false-alarms',
  bar: 'A10',
  name: 'simulated traffic: no anomaly where there is none, and one where there is, within 20 s',
  goal: '0 of 4,000',
  defaultCount: 4_000,
  shortCount: 100,
  async run({ count, seed, fail, progress }) {
    for (let i = 0; i < count; i += 1) {
      if (i % 50 === 0) progress(i);
      // All of a trial follows from its own seed, so that one can be run again alone.
      const trialSeed = seed + i;
      const again = `again: --seed ${trialSeed} --n 1`;
      const faulty = trialSeed % 4 === 3;
      const list = faulty ? faults : variants;
      const variant = list[Math.floor(trialSeed / 4) % list.length] ?? {};
      const { opened } = simulate({ ...steady, seed: trialSeed, ...variant });
      const early = opened.filter(({ atMs }) => !faulty || atMs < 60_000);
      if (early.length > 0) fail(`trial ${i}, ${again}: ${early[0]?.anomaly.signal} where nothing was wrong`);
      if (faulty && !opened.some(({ atMs }) => atMs >= 60_000 && atMs < 80_000))
        fail(`trial ${i}, ${again}: fault not found in 20 s`);
    }
    progress(count);
  },
});

export default campaign;
