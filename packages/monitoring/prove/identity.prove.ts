import { MetricRegistry } from '@mnops/monitoring';
import { type Campaign, defineCampaign } from '@mnops/tooling/prove';

/** Pieces that joined keys, escapes and prototypes trip over. */
const pieces = [
  '',
  'a',
  'b',
  ',',
  ':',
  '|',
  '"',
  '\\',
  '\n',
  '\u0000',
  '{',
  '}',
  '=',
  'le',
  '__proto__',
  'constructor',
  'é',
  '🦊',
  '\ud800',
  '\udc00',
  ' ',
];
const hostileNumbers: readonly unknown[] = [
  Number.NaN,
  -1,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  '5',
  null,
  {},
  [],
  true,
  1e308,
];

function text(random: () => number): string {
  return Array.from({ length: Math.floor(random() * 4) }, () => pieces[Math.floor(random() * pieces.length)]).join('');
}

/** Label sets that are the same once lone surrogates are one character. */
function identity(values: readonly string[]): string {
  return JSON.stringify(values.map((value) => Buffer.from(value).toString('utf8')));
}

const campaign: Campaign = defineCampaign({
  package: 'monitoring',
  suite: 'identity',
  bar: '8',
  name: 'random label sets with separators, quotes, NUL, surrogates and hostile values',
  goal: '0 merged series, 0 counters that fell or became NaN',
  defaultCount: 1_000_000,
  async run({ count, random, fail, progress }) {
    const perRegistry = 1_000;
    for (let done = 0; done < count; done += perRegistry) {
      const registry = new MetricRegistry();
      const limits = { seriesPerMetric: 10_000, valuesPerLabel: 10_000 };
      const counter = registry.counter({ name: 'sets_total', help: 'Sets.', labels: ['a', 'b', 'c'], limits });
      const expected = new Map<string, number>();
      for (let index = 0; index < Math.min(perRegistry, count - done); index++) {
        const values = [text(random), text(random), text(random)];
        const labels = { a: values[0], b: values[1], c: values[2] };
        if (random() < 0.5) counter.inc(labels);
        else counter.with(labels).inc();
        counter.inc(labels, hostileNumbers[index % 9] as number);
        const key = identity(values);
        expected.set(key, (expected.get(key) ?? 0) + 1);
      }
      const lines = (await registry.text()).split('\n').filter((line) => line.startsWith('sets_total'));
      const totals = lines.map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)));
      if (lines.length !== expected.size) fail(`${expected.size} label sets became ${lines.length} series`);
      const wanted = [...expected.values()].sort((one, other) => one - other).join();
      if (totals.sort((one, other) => one - other).join() !== wanted)
        fail('a counter has another total than what was added');
      progress(Math.min(count, done + perRegistry));
    }
  },
});

export default campaign;
