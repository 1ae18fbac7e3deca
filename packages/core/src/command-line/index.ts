export { type CommandLine, type OptionNames, readCommandLine } from './read-command-line.js';
export { type Command, type Program, runAsProcess, runProgram } from './run-program.js';
export { isUsageError, UsageError } from './usage-error.js';
