import { join } from 'node:path';
import type { CampaignRow } from '../prove/types.js';
import { repositoryRoot } from '../repository.js';
import { findSuites } from '../suites/find-suites.js';
import { runSuite } from '../suites/run-suites.js';
import type { Section } from './section.js';

/** Every campaign of every package with its short count; a campaign counts as one test. */
export async function shortCampaigns(): Promise<Section> {
  const startedAtMs = performance.now();
  const child = join(repositoryRoot, 'packages', 'tooling', 'src', 'prove', 'child.ts');
  const failures: string[] = [];
  let passed = 0;
  const suites = findSuites(repositoryRoot, 'prove').filter(({ file }) =>
    file.includes(`${join(repositoryRoot, 'packages')}/`),
  );
  for (const suite of suites) {
    const title = `${suite.owner}:${suite.suite}`;
    console.log(`  ${title}`);
    const options = { short: 'true' };
    const { rows, completed } = await runSuite<CampaignRow>({ child, suite, options, fromSource: true });
    passed += rows.filter(({ met }) => met).length;
    failures.push(...rows.filter(({ met }) => !met).map(({ name }) => `campaign ${title}: ${name}`));
    if (!completed) failures.push(`campaign ${title} did not run to the end`);
  }
  const seconds = (performance.now() - startedAtMs) / 1000;
  return { name: 'campaigns (short)', passed, failed: failures.length, skipped: 0, seconds, failures };
}
