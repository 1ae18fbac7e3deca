import { type Command as ProgramCommand, UsageError } from '@mnops/core/command-line';
import type { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { duration, fitted, painterOf, printable, type TextOptions, widthOf } from '../terminal/styles.js';
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
  /** Options that it obeys beside those of every command. */
  readonly takes: readonly (keyof CliOptions)[];
  /** @returns The exit code. */
  run(context: CommandContext): Promise<number>;
}

const done = 0;
const nothingFound = 3;

const one = { words: [1, 1], whenMore: 'One source at a time' } as const;
const which = ['service', 'operation'] as const;
const when = ['from', 'to'] as const;

/** Commands by name. */
export const commands: ReadonlyMap<string, Command> = new Map<string, Command>([
  [
    'traces',
    { usage: 'traces <source>', ...one, takes: [...which, ...when, 'minMs', 'errors', 'limit'], run: listTraces },
  ],
  ['trace', { usage: 'trace <source> <id>', words: [2, 2], takes: [], run: showTrace }],
  ['baselines', { usage: 'baselines <source>', ...one, takes: [...which, 'at', 'limit'], run: showBaselines }],
  ['map', { usage: 'map <source>', ...one, takes: when, run: showMap }],
  ['cause', { usage: 'cause <source> --at <time>', ...one, takes: [...which, 'at'], run: showCause }],
]);

function styleOf({ options, terminal }: CommandContext): TextOptions {
  return { color: options.color || (!options.noColor && terminal.color), width: terminal.width };
}

function print(terminal: Terminal, text: string): void {
  terminal.write(`${text}\n`);
}

/** JSON for programs: nanoseconds are decimal texts, as in OTLP. It may be shown to a person, so no name moves the cursor. */
function jsonOf(value: unknown): string {
  const text = JSON.stringify(value, (_key, part) => (typeof part === 'bigint' ? part.toString() : part), 2);
  return text.replaceAll(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (hidden) =>
    [...Array(hidden.length).keys()].map((at) => `\\u${hidden.charCodeAt(at).toString(16).padStart(4, '0')}`).join(''),
  );
}

function nothing({ terminal, options }: CommandContext, what: string, answer: unknown = []): number {
  if (options.json) print(terminal, jsonOf(answer));
  terminal.tell(`No ${what} found.`);
  return nothingFound;
}

/** Figures are not there: perhaps the program has not written any yet. */
async function noFigures(context: CommandContext, what: string, answer?: unknown): Promise<number> {
  for await (const _ of context.apm.findTraces({ limit: 1 })) {
    context.terminal.tell(
      'There are traces, but no figures: a program writes them once a minute and when it stops. Try `mnops-apm traces`.',
    );
  }
  return nothing(context, what, answer);
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
  for (const trace of found) {
    const line = traceLine(trace, terminal.width);
    print(terminal, trace.hasError ? paint('red', line) : line);
  }
  return done;
}

/** Names are long at times; what a line has beside them is never cut but where a terminal is narrow. */
const longestLine = 1_000;

function traceLine(trace: Trace, width: number | undefined): string {
  const { traceId, startedAt, durationMs, root, spans, services, hasError } = trace;
  const isNarrow = width !== undefined && width < 110;
  const name = printable(`${root?.name ?? spans[0]?.name ?? ''}  ${services.join(', ')}`);
  const parts = [
    printable(traceId).slice(0, isNarrow ? 12 : 32),
    isNarrow ? `${startedAt.toISOString().slice(width < 80 ? 11 : 0, 19)}Z` : startedAt.toISOString(),
    fitted(duration(durationMs), 9, 'right'),
    `${fitted(String(spans.length), 4, 'right')} spans`,
    ...(hasError ? ['failed'] : []),
    name,
  ];
  return fitted(parts.join('  '), width === undefined ? longestLine : widthOf({ width })).trimEnd();
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
  if (trace === undefined) return nothing(context, 'such trace', null);
  print(terminal, options.json ? jsonOf(trace) : traceTree(trace, styleOf(context)));
  return done;
}

async function showBaselines(context: CommandContext): Promise<number> {
  const { apm, options, terminal } = context;
  const { service, operation, at, limit = Number.POSITIVE_INFINITY } = options;
  const found = apm.baselines({ service, operation, at }).slice(0, limit);
  if (found.length === 0) return await noFigures(context, 'baseline');
  print(terminal, options.json ? jsonOf(found) : baselineTable(found, styleOf(context)));
  return done;
}

async function showMap(context: CommandContext): Promise<number> {
  const { apm, options, terminal } = context;
  const { from, to } = options;
  const map = apm.serviceMap(from === undefined && to === undefined ? undefined : { from, to });
  if (map.services.length === 0) return await noFigures(context, 'service', map);
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
