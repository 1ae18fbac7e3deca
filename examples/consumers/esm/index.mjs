import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

const subpaths = JSON.parse(readFileSync(new URL('../subpaths.json', import.meta.url), 'utf8'));
for (const { specifier, typesOnly } of subpaths) {
  const exported = Object.keys(await import(specifier));
  assert.ok(typesOnly || exported.length > 0, `${specifier} exports nothing`);
}
console.log(`${subpaths.length} subpaths imported`);
