import { allGates } from './gates.js';
import { type PackedPackages, packPackages } from './packed.js';
import { runGates } from './run-gates.js';

/** `npm run check [-- gate …]`: every gate, or those whose name begins with a word given. */
async function main(words: readonly string[]): Promise<number> {
  let packing: Promise<PackedPackages> | undefined;
  const gates = allGates(() => {
    packing ??= packPackages();
    return packing;
  });
  const wanted = words.length === 0 ? gates : gates.filter(({ name }) => words.some((word) => name.startsWith(word)));
  const outcomes = await runGates(wanted);
  await packing?.then((packed) => packed.remove()).catch(() => {});
  const failed = outcomes.filter(({ status }) => status === 'failed');
  const passed = outcomes.filter(({ status }) => status === 'passed');
  console.log(`\n${passed.length} of ${outcomes.length} checks passed.`);
  if (failed.length > 0) console.log(`Failed: ${failed.map(({ name }) => name).join(', ')}`);
  return wanted.length > 0 && passed.length === outcomes.length ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
