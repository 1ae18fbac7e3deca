#!/usr/bin/env node
import { run } from './run.js';
import { processTerminal } from './terminal.js';

// `mnops-apm traces | head` ends the reader first.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
void run(process.argv.slice(2), processTerminal()).then((code) => {
  process.exitCode = code;
});
