/** What the command reads from and writes to. */
export interface Terminal {
  /** Standard input to its end, as text. */
  read(): Promise<string>;
  /** Whether standard output is shown to a person who has not asked for plain text. */
  readonly color: boolean;
  /** Columns of the terminal; `undefined` where standard output is none. */
  readonly width: number | undefined;
  /** To standard output, as it is. */
  write(text: string): void;
  /** For people: errors and remarks. */
  tell(text: string): void;
}

/** The terminal of this process. */
export function processTerminal(): Terminal {
  const { stdin, stdout, stderr, env } = process;
  return {
    color: stdout.isTTY === true && (env['NO_COLOR'] ?? '') === '',
    width: stdout.isTTY === true ? stdout.columns : undefined,
    async read() {
      const chunks: Buffer[] = [];
      for await (const chunk of stdin) chunks.push(Buffer.from(chunk as Uint8Array));
      return Buffer.concat(chunks).toString('utf8');
    },
    write: (text) => void stdout.write(text),
    tell: (text) => void stderr.write(`${text}\n`),
  };
}
