import { basename } from 'node:path';
import { defineConfig, type ViteUserConfig } from 'vitest/config';

/** Test configuration of one workspace: tests stand beside the code and run from source, without a build. */
export function packageTests(folder: string): ViteUserConfig {
  return defineConfig({
    root: folder,
    resolve: { conditions: ['@mnops/source', 'node', 'import', 'default'] },
    ssr: { resolve: { conditions: ['@mnops/source', 'node', 'import', 'default'] } },
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
