import { type ChildProcess, fork } from 'node:child_process';
import type { LoadFigures, LoadPlan } from './load-generator.js';

/** Sums over a stretch of the run. */
export interface LoadSummary {
  readonly seconds: number;
  readonly sent: number;
  readonly ok: number;
  readonly serverErrors: number;
  readonly dropped: number;
  readonly orders: number;
  readonly heldBack: number;
  readonly ratePerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Runs the load in a process of its own and keeps what it reports. */
export class LoadMonitor {
  readonly figures: LoadFigures[] = [];
  readonly #program: string;
  #child: ChildProcess | undefined;

  /** @param program - Built program of the load. */
  constructor(program: string) {
    this.#program = program;
  }

  async start(plan: LoadPlan): Promise<void> {
    const child = fork(this.#program, [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.#child = child;
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.on('message', (message: { figures: LoadFigures }) => {
        this.figures.push(message.figures);
        resolve();
      });
      child.send({ plan });
    });
  }

  /** Waits until a moment after `atMs` has been reported, so that a summary up to it is complete. */
  async reportedUntil(atMs: number): Promise<void> {
    while ((this.figures.at(-1)?.atMs ?? 0) < atMs && this.#child?.connected === true) {
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  /** Sums what was reported between two moments, epoch milliseconds. */
  summary(fromMs: number, toMs: number = Number.POSITIVE_INFINITY): LoadSummary {
    const part = this.figures.filter(({ atMs }) => atMs > fromMs && atMs <= toMs);
    const sum = (name: 'sent' | 'ok' | 'serverErrors' | 'dropped' | 'orders' | 'heldBack'): number =>
      part.reduce((total, figures) => total + figures[name], 0);
    const latencies = part.flatMap(({ latenciesMs }) => latenciesMs).sort((left, right) => left - right);
    const seconds = Math.max(0.001, (Math.min(toMs, part.at(-1)?.atMs ?? fromMs) - fromMs) / 1_000);
    return {
      seconds,
      sent: sum('sent'),
      ok: sum('ok'),
      serverErrors: sum('serverErrors'),
      dropped: sum('dropped'),
      orders: sum('orders'),
      heldBack: sum('heldBack'),
      ratePerSecond: sum('ok') / seconds,
      p50Ms: quantile(latencies, 0.5),
      p99Ms: quantile(latencies, 0.99),
    };
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || !child.connected) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.send({ stop: true });
    await ended;
  }

  /** Ends the process without waiting for answers. */
  kill(): void {
    this.#child?.kill('SIGKILL');
  }
}

/** Value at a share of a sorted list; 0 when it is empty. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
