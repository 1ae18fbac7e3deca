#!/usr/bin/env node
import { runAsProcess } from '@mnops/core/command-line';
import { run } from './run.js';
import { processTerminal } from './terminal.js';

runAsProcess(() => run(process.argv.slice(2), processTerminal()));
