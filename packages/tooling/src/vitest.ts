import { basename } from 'node:path';
import { defineConfig, type ViteUserConfig } from 'vitest/config';

/** Test configuration of one workspace: tests stand beside the code and run from source, without a build. */
export function packageTests(folder: string): ViteUserConfig {
  return defineConfig({
    root: folder,
    // Without `import`, which holds by itself for imports: named here it would hold for `require` too, and give it modules.
    resolve: { conditions: ['@mnops/source', 'node'] },
    ssr: { resolve: { conditions: ['@mnops/source', 'node'] } },
    test: {
      name: basename(folder),
      include: ['src/**/*.test.ts'],
      environment: 'node',
      pool: 'forks',
      maxWorkers: 2,
      testTimeout: 60_000,
      hookTimeout: 120_000,
    },
  });
}
