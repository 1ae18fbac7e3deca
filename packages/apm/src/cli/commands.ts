import { type Command as ProgramCommand, UsageError } from '@mnops/core/command-line';
import type { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { duration, fitted, painterOf, printable, type TextOptions } from '../terminal/styles.js';
import { baselineTable, rootCauseText, serviceMapText } from '../terminal/tables.js';
import { traceTree } from '../terminal/trace-tree.js';
import type { Trace } from '../trace.js';
import type { CliOptions } from './options.js';
import type { Terminal } from './terminal.js';

/** What a command works with. */
export interface CommandContext {
  readonly apm: PerformanceMonitoringManager;
  readonly options: CliOptions;
  /** Words behind the source. */
  readonly words: readonly string[];
  readonly terminal: Terminal;
}

/** One command; its first word is the source. */
export interface Command extends ProgramCommand {
  /** @returns The exit code. */
  run(context: CommandContext): Promise<number>;
}

const done = 0;
const nothingFound = 3;

/** Commands by name. */
export const commands: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['traces', { usage: 'traces <source>', words: [1, 1], run: listTraces }],
  ['trace', { usage: 'trace <source> <id>', words: [2, 2], run: showTrace }],
  ['baselines', { usage: 'baselines <source>', words: [1, 1], run: showBaselines }],
  ['map', { usage: 'map <source>', words: [1, 1], run: showMap }],
  ['cause', { usage: 'cause <source> --at <time>', words: [1, 1], run: showCause }],
]);

function styleOf({ options, terminal }: CommandContext): TextOptions {
  return { color: options.color || (!options.noColor && terminal.color), width: terminal.width };
}

function print(terminal: Terminal, text: string): void {
  terminal.write(`${text}\n`);
}

/** JSON for programs: nanoseconds are decimal texts, as in OTLP. */
function jsonOf(value: unknown): string {
  return JSON.stringify(value, (_key, part) => (typeof part === 'bigint' ? part.toString() : part), 2);
}

function nothing({ terminal, options }: CommandContext, what: string): number {
  if (options.json) print(terminal, '[]');
  terminal.tell(`No ${what} found.`);
  return nothingFound;
}

async function listTraces(context: CommandContext): Promise<number> {
  const { apm, options, terminal } = context;
  const { service, operation, minMs: minDurationMs, from, to, limit = 20 } = options;
  const error = options.errors ? true : undefined;
  const found: Trace[] = [];
  for await (const trace of apm.findTraces({ service, operation, minDurationMs, error, from, to, limit })) {
    found.push(trace);
  }
  if (found.length === 0) return nothing(context, 'trace');
  if (options.json) {
    print(terminal, jsonOf(found));
    return done;
  }
  const paint = painterOf(styleOf(context));
  for (const { traceId, startedAt, durationMs, root, spans, services, hasError } of found) {
    const name = root?.name ?? spans[0]?.name ?? '';
    const line = `${printable(traceId)}  ${startedAt.toISOString()}  ${fitted(duration(durationMs), 9, 'right')}  ${fitted(String(spans.length), 4, 'right')} spans  ${printable(`${name}  ${services.join(', ')}`)}`;
    print(terminal, hasError ? paint('red', `${line}  failed`) : line);
  }
  return done;
}

async function showTrace(context: CommandContext): Promise<number> {
  const { apm, options, terminal, words } = context;
  const [id = ''] = words;
  if (!/^[0-9a-f]{4,32}$/i.test(id))
    throw new UsageError('A trace id has 32 hexadecimal digits; give 4 or more of them');
  const wanted = id.toLowerCase();
  const exact = await apm.getTrace(wanted);
  const found: Trace[] = exact === undefined ? [] : [exact];
  if (exact === undefined) {
    for await (const trace of apm.findTraces({ limit: Number.MAX_SAFE_INTEGER })) {
      if (trace.traceId.startsWith(wanted)) found.push(trace);
      if (found.length > 1) throw new UsageError(`More than one trace begins with ${wanted}`);
    }
  }
  const [trace] = found;
  if (trace === undefined) return nothing(context, 'such trace');
  print(terminal, options.json ? jsonOf(trace) : traceTree(trace, styleOf(context)));
  return done;
}

async function showBaselines(context: CommandContext): Promise<number> {
  const { apm, options, terminal } = context;
  const { service, operation, limit = Number.POSITIVE_INFINITY } = options;
  const found = apm.baselines({ service, operation }).slice(0, limit);
  if (found.length === 0) return nothing(context, 'baseline');
  print(terminal, options.json ? jsonOf(found) : baselineTable(found, styleOf(context)));
  return done;
}

async function showMap(context: CommandContext): Promise<number> {
  const { apm, options, terminal } = context;
  const { from, to } = options;
  const map = apm.serviceMap(from === undefined && to === undefined ? undefined : { from, to });
  if (map.services.length === 0) return nothing(context, 'service');
  print(terminal, options.json ? jsonOf(map) : serviceMapText(map, styleOf(context)));
  return done;
}

async function showCause(context: CommandContext): Promise<number> {
  const { apm, options, terminal } = context;
  const { at, service, operation } = options;
  if (at === undefined) throw new UsageError('When the trouble began is missing: --at 2030-01-31T12:00:00Z');
  const report = await apm.findRootCause({ at, service, operation });
  print(terminal, options.json ? jsonOf(report) : rootCauseText(report, styleOf(context)));
  return report.verdict === 'found' ? done : nothingFound;
}
