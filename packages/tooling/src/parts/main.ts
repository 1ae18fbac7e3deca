import { table } from '../table.js';
import { dataFolder, testDataRoot } from './data.js';
import { cacheFolder } from './part.js';
import { allParts, isPartId, part } from './registry.js';

/** `npm run parts`: lists what this machine has; `npm run parts -- install [id …]`: installs what goes into the user's cache. */
async function main([command = 'list', ...ids]: readonly string[]): Promise<number> {
  if (command === 'list') return list();
  if (command === 'install') return await install(ids);
  console.error(`Unknown command ${command}. Use: npm run parts, or npm run parts -- install [id …]`);
  return 1;
}

function list(): number {
  const rows = allParts().map(({ id, available, version, installLine, purpose }) => [
    id,
    available ? (version ?? 'present') : 'absent',
    purpose,
    available ? '' : installLine,
  ]);
  console.log(table(['part', 'version', 'for', 'to install'], rows));
  console.log(`\nCache: ${cacheFolder()}   Test data: ${dataFolder('.') ?? `absent (${testDataRoot()})`}`);
  return 0;
}

async function install(ids: readonly string[]): Promise<number> {
  const unknown = ids.filter((id) => !isPartId(id));
  if (unknown.length > 0) {
    const known = allParts().map(({ id }) => id);
    console.error(`Unknown part ${unknown.join(', ')}. Known: ${known.join(', ')}.`);
    return 1;
  }
  const wanted = ids.length > 0 ? ids.filter(isPartId).map(part) : allParts();
  let failures = 0;
  for (const found of wanted) {
    if (found.available) {
      console.log(`${found.id}: ${found.version ?? 'present'}`);
    } else if (found.install === undefined) {
      console.log(`${found.id}: install it with the system's packages: ${found.installLine}`);
      if (ids.length > 0) failures += 1;
    } else {
      await found.install((text) => console.log(`${found.id}: ${text}`));
      console.log(`${found.id}: installed`);
    }
  }
  return failures === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
