import { allGates } from '../check/gates.js';
import { buildAll, type PackedPackages, packPackages } from '../check/packed.js';
import { runGates } from '../check/run-gates.js';
import { installConsumers } from '../consumers/install.js';
import { consumerRuns } from '../consumers/run-consumers.js';
import { allParts, part } from '../parts/registry.js';
import { isRequired } from '../parts/suite.js';
import { table } from '../table.js';
import { shortCampaigns } from './campaigns.js';
import { demoTrials, readmeTrials, snippetTrials } from './examples.js';
import { publishTrials } from './publish.js';
import { runTrials, type Section, totalLine } from './section.js';
import { runVitest } from './vitest-run.js';

/** Parts of `npm test`, by the word that chooses one: `npm test -- check unit`. */
const sectionNames = ['check', 'unit', 'campaigns', 'packages', 'examples', 'nodes'] as const;
type SectionName = (typeof sectionNames)[number];

async function main(words: readonly string[]): Promise<number> {
  const unknown = words.filter((word) => !sectionNames.some((name) => name === word));
  if (unknown.length > 0) {
    console.error(`Unknown section ${unknown.join(', ')}. Known: ${sectionNames.join(', ')}.`);
    return 1;
  }
  const wanted = (name: SectionName): boolean => words.length === 0 || words.includes(name);
  const sections: Section[] = [];
  let packing: Promise<PackedPackages> | undefined;
  const packed = (): Promise<PackedPackages> => {
    packing ??= packPackages();
    return packing;
  };
  if (wanted('check')) sections.push(await checkSection(packed));
  else sections.push(await titled('build', () => runTrials('build', [{ name: 'every workspace', run: buildAll }])));
  if (wanted('unit'))
    sections.push(await titled('unit, contract and property tests', () => runVitest('tests', process.execPath, [])));
  if (wanted('campaigns')) sections.push(await titled('campaigns', shortCampaigns));
  if (wanted('packages')) sections.push(...(await packageSections(packed)));
  if (wanted('nodes')) sections.push(...(await otherNodes()));
  if (wanted('examples')) {
    sections.push(await titled('snippets', () => runTrials('snippets', snippetTrials(), 2)));
    sections.push(await titled('readme', () => runTrials('readme', readmeTrials(), 2)));
    sections.push(await titled('the shop', () => runTrials('demo', demoTrials())));
  }
  await packing?.then((packages) => packages.remove()).catch(() => {});
  return summary(sections);
}

async function titled<T>(title: string, run: () => Promise<T>): Promise<T> {
  console.log(`\n== ${title}`);
  return await run();
}

async function checkSection(packed: () => Promise<PackedPackages>): Promise<Section> {
  const startedAtMs = performance.now();
  const outcomes = await titled('check', () => runGates(allGates(packed)));
  const count = (status: string): number => outcomes.filter((one) => one.status === status).length;
  const failures = outcomes.filter(({ status }) => status === 'failed').map(({ name }) => `check: ${name}`);
  const seconds = (performance.now() - startedAtMs) / 1000;
  return {
    name: 'check',
    passed: count('passed'),
    failed: count('failed'),
    skipped: count('skipped'),
    seconds,
    failures,
  };
}

/** The packed tarballs: installed and used by the consumers, and published for show. */
async function packageSections(packed: () => Promise<PackedPackages>): Promise<readonly Section[]> {
  const broken = (name: string, error: unknown): Section => {
    console.log(error instanceof Error ? error.message : String(error));
    return { name, passed: 0, failed: 1, skipped: 0, seconds: 0, failures: [`${name}: could not be prepared`] };
  };
  return await titled('packed packages', async () => {
    try {
      const { tarballs } = await packed();
      const consumers = await installConsumers(tarballs);
      const section = await runTrials('consumers', consumerRuns(consumers));
      consumers.remove();
      return [section, await runTrials('publish', publishTrials(tarballs), 2)];
    } catch (error) {
      return [broken('consumers', error)];
    }
  });
}

/** Core's suite on the other release lines of Node. */
async function otherNodes(): Promise<readonly Section[]> {
  const sections: Section[] = [];
  for (const id of ['node22', 'node24'] as const) {
    const { available, path, version } = part(id);
    const name = `core on ${available ? `Node ${version}` : id}`;
    if (available) sections.push(await titled(name, () => runVitest(name, path, ['--root', 'packages/core'])));
    else sections.push(absent(name, id));
  }
  return sections;
}

function absent(name: string, id: string): Section {
  const failures = isRequired(id) ? [`${name}: MNOPS_REQUIRE_PARTS names ${id}, and it is absent`] : [];
  return { name, passed: 0, failed: failures.length, skipped: 1 - failures.length, seconds: 0, failures };
}

function summary(sections: readonly Section[]): number {
  const parts = allParts().map((one) => [
    one.id,
    one.available ? (one.version ?? 'present') : `absent: ${one.installLine}`,
  ]);
  console.log(`\n${table(['part', 'version'], parts)}`);
  const rows = sections.map(({ name, passed, failed, skipped, seconds }) => [
    name,
    String(passed),
    String(failed),
    String(skipped),
    seconds.toFixed(0),
  ]);
  console.log(`\n${table(['section', 'passed', 'failed', 'skipped', 'seconds'], rows)}`);
  const failures = sections.flatMap((section) => section.failures);
  if (failures.length > 0) console.log(`\nFailed:\n${failures.map((failure) => `  ${failure}`).join('\n')}`);
  console.log(`\n${totalLine(sections)}`);
  return failures.length === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
