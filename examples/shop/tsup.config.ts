import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'tsup';

const source = join(import.meta.dirname, 'src');

/** Every program of the shop: `src/<name>/main.ts` becomes `dist/<name>.js`. */
const entry = Object.fromEntries(
  readdirSync(source)
    .filter((name) => existsSync(join(source, name, 'main.ts')))
    .map((name) => [name, `src/${name}/main.ts`]),
);

export default defineConfig({
  entry,
  format: ['esm'],
  target: 'node20.19',
  platform: 'node',
  sourcemap: true,
  clean: true,
});
