import { runTool } from '../check/gate.js';
import type { Trial } from './section.js';

/** `npm publish --dry-run` of every tarball. */
export function publishTrials(tarballs: ReadonlyMap<string, string>): readonly Trial[] {
  return [...tarballs].map(([id, tarball]) => ({
    name: `npm publish --dry-run @mnops/${id}`,
    run: async () => {
      const { code, stdout, stderr } = await runTool('npm', ['publish', tarball, '--dry-run', '--access', 'public']);
      return { ok: code === 0, output: `${stdout}${stderr}` };
    },
  }));
}
