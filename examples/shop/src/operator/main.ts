import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { reportPage } from '../report/page.js';
import { openShop, type Shop } from './shop.js';
import { cleanUp, shopFolder } from './shop-folder.js';
import { StepRunner } from './step.js';
import { tellStory } from './story.js';

const { values } = parseArgs({
  options: {
    healthy: { type: 'boolean', default: false },
    clean: { type: 'boolean', default: false },
    folder: { type: 'string', default: join(import.meta.dirname, '..', '.run') },
    report: { type: 'string', default: join(import.meta.dirname, '..', 'report.html') },
  },
});
const variant = values.healthy ? 'healthy' : 'faulty';
const terminal = { isTTY: process.stdout.isTTY === true, write: (text: string) => void process.stdout.write(text) };
const steps = new StepRunner(terminal);
const startedAtMs = Date.now();
let shop: Shop | undefined;
let ending: Promise<void> | undefined;

/** Releases every process and port, once, whoever asks. */
function end(): Promise<void> {
  ending ??= (async () => {
    await shop?.close();
    await cleanUp(folder);
  })();
  return ending;
}

for (const [signal, number] of [
  ['SIGHUP', 1],
  ['SIGINT', 2],
  ['SIGTERM', 15],
] as const) {
  process.on(signal, () => {
    terminal.write('\nEnding the shop …\n');
    void end().finally(() => process.exit(128 + number));
  });
}
// Whoever read along has gone (`| head`, a closed window): the services are ended all the same.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', () => void end().finally(() => process.exit(1)));
}

const folder = shopFolder(resolve(values.folder));
if (values.clean) {
  const left = await cleanUp(folder);
  terminal.write(left.length === 0 ? 'Nothing was left.\n' : `Ended ${left.join(', ')}.\n`);
  process.exit(0);
}
let failed = false;
try {
  await steps.run('Prepare', async ({ say }) => {
    const left = await cleanUp(folder);
    if (left.length > 0) say(`ended what an earlier run left behind: ${left.join(', ')}`);
    shop = await openShop(folder, import.meta.dirname);
  });
  const facts = await tellStory(shop as Shop, steps, variant);
  await steps.run('Write the report', async ({ expect }) => {
    const file = resolve(values.report);
    await mkdir(join(file, '..'), { recursive: true });
    const evidence = await (shop as Shop).recovery.complianceReport({
      framework: 'soc2',
      from: new Date(startedAtMs),
      to: new Date(),
    });
    expect(
      'the evidence of drill and recovery is an unbroken chain',
      evidence.chain.intact,
      `${evidence.chain.records} records`,
    );
    const load = (shop as Shop).load.figures;
    const page = reportPage({
      variant,
      startedAtMs,
      endedAtMs: Date.now(),
      held: steps.held,
      steps: steps.records,
      load,
      ...facts,
    });
    await writeFile(file, page);
    const written = await readFile(file, 'utf8');
    const missing = facts.traces.filter(({ traceId }) => !written.includes(traceId));
    expect('the page shows every trace that was followed', missing.length === 0, `${facts.traces.length} in ${file}`);
  });
} catch (error) {
  failed = true;
  if (process.env['SHOP_DEBUG'] !== undefined) console.error(error);
} finally {
  if (ending === undefined)
    await end().catch((error: unknown) => {
      failed = true;
      terminal.write(`The shop did not end cleanly: ${error instanceof Error ? error.message : String(error)}\n`);
    });
}
const held = steps.held && !failed;
terminal.write(
  `\n${steps.table()}\n\n${held ? 'Every promise held' : 'NOT every promise held'} in ${((Date.now() - startedAtMs) / 1_000).toFixed(0)} s.\n`,
);
process.exitCode = held ? 0 : 1;
