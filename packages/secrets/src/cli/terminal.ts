import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { UsageError } from '@mnops/core/command-line';

/** What a command reads from and writes to. */
export interface Terminal {
  /** Standard input to its end. */
  read(): Promise<Buffer>;
  /** Whether a person sits at standard input. */
  readonly interactive: boolean;
  /** Whether standard output is shown to a person. */
  readonly shown: boolean;
  /** One line from the person, not shown. */
  ask(question: string): Promise<string>;
  write(text: string | Uint8Array): void;
  /** For people: progress and errors. */
  tell(text: string): void;
}

const mostBytes = 64 * 1_024 * 1_024;

/** The terminal of this process. */
export function processTerminal(): Terminal {
  return {
    interactive: process.stdin.isTTY === true,
    shown: process.stdout.isTTY === true,
    async read() {
      const chunks: Buffer[] = [];
      let size = 0;
      for await (const chunk of process.stdin) {
        const bytes = Buffer.from(chunk as Uint8Array);
        size += bytes.length;
        if (size > mostBytes) throw new Error(`Standard input is longer than ${mostBytes} bytes.`);
        chunks.push(bytes);
      }
      return Buffer.concat(chunks);
    },
    async ask(question) {
      // What is typed is echoed into nothing.
      const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
      const lines = createInterface({ input: process.stdin, output: silent, terminal: process.stdin.isTTY === true });
      try {
        process.stderr.write(question);
        const ended = new Promise<never>((_, reject) => {
          lines.once('close', () => reject(new UsageError('Nothing was typed')));
          // In raw mode the terminal hands Ctrl-C over as a character.
          lines.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
        });
        return await Promise.race([lines.question(''), ended]);
      } finally {
        lines.close();
        process.stderr.write('\n');
      }
    },
    write: (text) => void process.stdout.write(text),
    tell: (text) => void process.stderr.write(`${text}\n`),
  };
}
