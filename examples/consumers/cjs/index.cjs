const assert = require('node:assert/strict');
const subpaths = require('../subpaths.json');

for (const { specifier, typesOnly } of subpaths) {
  const exported = Object.keys(require(specifier));
  assert.ok(typesOnly || exported.length > 0, `${specifier} exports nothing`);
}
console.log(`${subpaths.length} subpaths required`);
