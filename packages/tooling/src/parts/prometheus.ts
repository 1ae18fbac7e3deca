import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findOnPath, type Part } from './part.js';
import { askProgram, type ProgramOptions, type ProgramResult, runProgram } from './program.js';
import { type RunningServer, startServer } from './server.js';

/** One sample of an instant query. */
export interface PrometheusSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly atMs: number;
}

/** A running Prometheus. */
export interface PrometheusServer extends RunningServer {
  /** Evaluates an expression now, or at `atMs`. Scalars and vectors only. */
  query(expression: string, atMs?: number): Promise<readonly PrometheusSample[]>;
}

/** What a Prometheus is started with. */
export interface PrometheusStart {
  /** Targets `host:port` that are scraped at `/metrics`, or the path given. */
  readonly targets?: readonly string[] | undefined;
  readonly metricsPath?: string | undefined;
  /** Default 250. */
  readonly scrapeIntervalMs?: number | undefined;
  /** Contents of a rules file. */
  readonly rules?: string | undefined;
  /** A whole configuration file instead of the fields above. */
  readonly config?: string | undefined;
  readonly args?: readonly string[] | undefined;
}

/** Prometheus and promtool. */
export interface PrometheusPart extends Part {
  readonly id: 'prometheus';
  /** Paths of the programs; empty when they are not available. */
  readonly path: string;
  readonly promtoolPath: string;
  promtool(args: readonly string[], options?: ProgramOptions): Promise<ProgramResult>;
  /** Starts a server on loopback with its own storage. */
  start(options?: PrometheusStart): Promise<PrometheusServer>;
}

export function prometheus(): PrometheusPart {
  const path = findOnPath('prometheus') ?? '';
  const promtoolPath = findOnPath('promtool') ?? '';
  const available = path !== '' && promtoolPath !== '';
  return {
    id: 'prometheus',
    purpose: 'monitoring: promtool judges the exposition, a server scrapes it',
    available,
    get version() {
      return available ? askProgram(path, ['--version'], /version (\d+\.\d+\.\d+)/) : undefined;
    },
    installLine: 'apt-get install -y prometheus',
    path,
    promtoolPath,
    promtool: (args, options) => runProgram(promtoolPath, args, options),
    start: (options = {}) => start(path, options),
  };
}

async function start(program: string, options: PrometheusStart): Promise<PrometheusServer> {
  const folder = mkdtempSync(join(tmpdir(), 'mnops-prometheus-config-'));
  const configFile = join(folder, 'prometheus.yml');
  if (options.rules !== undefined) writeFileSync(join(folder, 'rules.yml'), options.rules);
  writeFileSync(configFile, options.config ?? configuration(options));
  const removeConfiguration = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    const server = await startServer({
      id: 'prometheus',
      program,
      args: (at) => [
        `--config.file=${configFile}`,
        `--storage.tsdb.path=${join(at.folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${at.port}`,
        '--log.level=warn',
        ...(options.args ?? []),
      ],
      readyPath: '/-/ready',
    });
    return {
      ...server,
      query: (expression, atMs) => query(server.url, expression, atMs),
      stop: async () => {
        await server.stop();
        removeConfiguration();
      },
    };
  } catch (error) {
    removeConfiguration();
    throw error;
  }
}

// JSON is YAML, so a configuration needs no YAML writer.
function configuration({
  targets = [],
  metricsPath = '/metrics',
  scrapeIntervalMs = 250,
  rules,
}: PrometheusStart): string {
  const interval = `${scrapeIntervalMs}ms`;
  return JSON.stringify({
    global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
    rule_files: rules === undefined ? [] : ['rules.yml'],
    scrape_configs: [{ job_name: 'mnops', metrics_path: metricsPath, static_configs: [{ targets }] }],
  });
}

interface QueryAnswer {
  readonly status: string;
  readonly error?: string;
  readonly data?: {
    readonly resultType: string;
    readonly result: readonly { readonly metric: Record<string, string>; readonly value: readonly [number, string] }[];
  };
}

async function query(url: string, expression: string, atMs?: number): Promise<readonly PrometheusSample[]> {
  const body = new URLSearchParams({ query: expression });
  if (atMs !== undefined) body.set('time', String(atMs / 1000));
  const response = await fetch(`${url}/api/v1/query`, { method: 'POST', body, signal: AbortSignal.timeout(10_000) });
  const answer = (await response.json()) as QueryAnswer;
  if (answer.status !== 'success' || answer.data === undefined) {
    throw new Error(`Prometheus refused ${expression}: ${answer.error ?? response.status}`);
  }
  const { resultType, result } = answer.data;
  if (resultType === 'scalar') {
    const [seconds, text] = result as unknown as readonly [number, string];
    return [{ labels: {}, value: sampleValue(text), atMs: seconds * 1000 }];
  }
  return result.map(({ metric, value }) => ({ labels: metric, value: sampleValue(value[1]), atMs: value[0] * 1000 }));
}

function sampleValue(text: string): number {
  return Number(text.replace('Inf', 'Infinity'));
}
