import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { isRequired, part } from '../parts/index.js';
import { countOf } from '../suites/arguments.js';
import { suiteNameProblem } from '../suites/suite-name.js';
import { runCampaign } from './run-campaign.js';
import type { Campaign, CampaignRow } from './types.js';

/** Runs the campaigns of one file and keeps the result file up to date after each. */
const [file = '', resultFile = '', optionsText = '{}'] = process.argv.slice(2);
const options = JSON.parse(optionsText) as Record<string, string>;
const exported = ((await import(pathToFileURL(file).href)) as { default?: Campaign | readonly Campaign[] }).default;
const campaigns = exported === undefined ? [] : [exported].flat();
// A file whose data is not on this machine exports an empty list.
const isEmpty = exported !== undefined && campaigns.length === 0;
const problem = isEmpty ? undefined : suiteNameProblem(file, '.prove.ts', campaigns);
if (problem !== undefined) throw new Error(problem);

if (isEmpty) console.log('  nothing to try on this machine');
const { n, seed: seedText, short, ...args } = options;
const rows: (CampaignRow & { readonly suite: string })[] = [];
for (const campaign of campaigns) {
  const absent = (campaign.needs ?? []).map(part).filter(({ available }) => !available);
  if (absent.length > 0) {
    console.log(`  ${campaign.bar} ${campaign.name}: passed over`);
    for (const { id, installLine } of absent) console.log(`    ${id} is not on this machine: ${installLine}`);
    if (!absent.some(({ id }) => isRequired(id))) continue;
    const { package: owner, suite, bar, name, goal } = campaign;
    rows.push({ suite, package: owner, bar, name, tried: 0, failed: 1, goal, met: false });
    writeFileSync(resultFile, JSON.stringify(rows));
    continue;
  }
  const seed = seedText === undefined ? randomInt(2 ** 32) : Number(seedText);
  const shortCount = campaign.shortCount ?? Math.max(1, Math.round(campaign.defaultCount / 50));
  const count = n === undefined ? (short === 'true' ? shortCount : campaign.defaultCount) : countOf('n', n);
  console.log(`  ${campaign.bar} ${campaign.name}: ${count} trials, seed ${seed}`);
  const row = await runCampaign(campaign, { count, seed, args });
  console.log(`  ${row.met ? 'met    ' : 'NOT MET'} ${row.tried} tried, ${row.failed} failed, goal: ${row.goal}`);
  rows.push({ suite: campaign.suite, ...row });
  writeFileSync(resultFile, JSON.stringify(rows));
}
process.exit();
