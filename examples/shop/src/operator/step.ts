/** One thing that a step promises, with what was measured. */
export interface Assertion {
  readonly claim: string;
  readonly measured: string;
  readonly held: boolean;
}

/** What a step left behind. */
export interface StepRecord {
  readonly name: string;
  readonly startedAt: Date;
  readonly durationMs: number;
  readonly assertions: readonly Assertion[];
  /** Why it could not go on, when it failed otherwise than by an assertion. */
  readonly error?: string | undefined;
}

/** Given to each step, to say what it measured. */
export interface StepContext {
  /** Records a promise and whether it held; the step goes on either way. */
  expect(claim: string, held: boolean, measured: string | number): void;
  /** Shows a line of progress. */
  say(text: string): void;
}

/** Where progress is shown. */
export interface Terminal {
  readonly isTTY: boolean;
  write(text: string): void;
}

/** Runs steps in order, shows them live and remembers what each measured. */
export class StepRunner {
  readonly records: StepRecord[] = [];
  readonly #terminal: Terminal;
  readonly #startedAt = Date.now();

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Whether every assertion of every step held. */
  get held(): boolean {
    return this.records.every(({ error, assertions }) => error === undefined && assertions.every(({ held }) => held));
  }

  /** Runs one step. An error is recorded and thrown on: later steps would stand on nothing. */
  async run<T>(name: string, body: (context: StepContext) => Promise<T>): Promise<T> {
    const startedAt = new Date();
    const assertions: Assertion[] = [];
    this.#line(`▶ ${name}`, '36');
    const context: StepContext = {
      expect: (claim, held, measured) => {
        assertions.push({ claim, held, measured: String(measured) });
        this.#line(`  ${held ? '✓' : '✗'} ${claim}: ${measured}`, held ? '32' : '31');
      },
      say: (text) => this.#line(`    ${text}`, '90'),
    };
    let error: string | undefined;
    try {
      return await body(context);
    } catch (cause) {
      error = cause instanceof Error ? cause.message : String(cause);
      this.#line(`  ✗ ${error}`, '31');
      throw cause;
    } finally {
      const durationMs = Date.now() - startedAt.getTime();
      this.records.push({ name, startedAt, durationMs, assertions, error });
    }
  }

  /** The closing table: every step with its duration and its figures. */
  table(): string {
    const rows = this.records.flatMap(({ name, durationMs, assertions, error }) => {
      const lines = assertions.map(({ claim, measured, held }) => [held ? 'ok' : 'FAILED', claim, measured] as const);
      const all = error === undefined ? lines : [...lines, ['FAILED', 'went through', error] as const];
      return all.map(([verdict, claim, measured], index) => [
        index === 0 ? name : '',
        index === 0 ? `${(durationMs / 1_000).toFixed(1)} s` : '',
        verdict,
        claim,
        measured,
      ]);
    });
    const header = ['step', 'took', '', 'what', 'measured'];
    const widths = header.map((title, column) =>
      Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
    );
    const line = (cells: readonly string[]): string =>
      cells
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd();
    return [line(header), widths.map((width) => '─'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
  }

  #line(text: string, colour: string): void {
    const seconds = ((Date.now() - this.#startedAt) / 1_000).toFixed(1).padStart(5);
    const stamped = `${seconds} s  ${text}`;
    this.#terminal.write(this.#terminal.isTTY ? `\u001b[${colour}m${stamped}\u001b[0m\n` : `${stamped}\n`);
  }
}
