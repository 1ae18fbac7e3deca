import type { CommandLine } from '@mnops/core/command-line';

/** What the command line can say. */
export const optionNames = {
  texts: [
    'config',
    'folder',
    'key-file',
    'passphrase-file',
    'to-key-file',
    'to-passphrase-file',
    'actor',
    'version-id',
    'to-version',
    'stage',
    'expires-at',
    'prefix',
    'format',
    'from-file',
  ],
  flags: ['dry-run', 'permanent', 'resume', 'reveal', 'json'],
} as const;

/** What the command line said. */
export type CliOptions = CommandLine<typeof optionNames>['options'];
