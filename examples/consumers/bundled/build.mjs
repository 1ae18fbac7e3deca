import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const at = (name) => fileURLToPath(new URL(name, import.meta.url));
const subpaths = JSON.parse(readFileSync(at('../subpaths.json'), 'utf8'));

// Every subpath in one program. The optional SDKs are not installed: reaching for one while bundling would be an error.
mkdirSync(at('out'), { recursive: true });
const imports = subpaths.map(({ specifier }, index) => `import * as part${index} from '${specifier}';`);
const parts = subpaths.map((_, index) => `part${index}`).join(', ');
writeFileSync(at('out/program.mjs'), `${imports.join('\n')}\nconsole.log([${parts}].length + ' subpaths bundled');\n`);
const { warnings } = await build({
  entryPoints: [at('out/program.mjs')],
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  outfile: at('out/program.cjs'),
  logLevel: 'warning',
});
if (warnings.length > 0) process.exitCode = 1;
