import type { CommandLine } from '@mnops/core/command-line';

/** What the command line can say. */
export const optionNames = {
  texts: ['service', 'operation'],
  numbers: ['min-ms', 'limit'],
  times: ['from', 'to', 'at'],
  flags: ['errors', 'json', 'color', 'no-color'],
} as const;

/** What the command line said. */
export type CliOptions = CommandLine<typeof optionNames>['options'];
