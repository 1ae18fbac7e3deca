/** A code block of a README with what it needs of the blocks before it. */
export interface ReadmeProgram {
  /** Line of the block in the page, from 1. */
  readonly line: number;
  readonly text: string;
}

/** The blocks of a README as a reader would run them. */
export interface ReadmePrograms {
  /** Each of them runs by itself. */
  readonly programs: readonly ReadmeProgram[];
  /** Blocks that name their file, for programs that start them. */
  readonly files: ReadonlyMap<string, string>;
  /** Blocks that say what they need from elsewhere. */
  readonly fragments: number;
}

const block = /<!-- snippet: (?<path>[\w./-]+)(?:#[\w-]+)? -->\n+```ts\n(?<body>[\s\S]*?)^```$/gm;

/**
 * Takes a README apart. A block stands alone, unless its first line says otherwise: `// Continues …` puts the blocks of
 * the same snippet before it, `// <name>.ts` names the file it is to be saved as, and `// Needs …` makes it a fragment.
 */
export function readmePrograms(page: string): ReadmePrograms {
  const programs: ReadmeProgram[] = [];
  const files = new Map<string, string>();
  const texts = new Map<string, string>();
  let fragments = 0;
  for (const match of page.matchAll(block)) {
    const { path = '', body = '' } = match.groups ?? {};
    const line = page.slice(0, match.index).split('\n').length + 1;
    const [first = ''] = body.split('\n', 1);
    const file = /^\/\/ (?<name>[\w-]+\.ts)$/.exec(first)?.groups?.['name'];
    if (file !== undefined) files.set(file, body);
    else if (first.startsWith('// Needs ')) fragments += 1;
    else {
      const text = first.startsWith('// Continues ') ? `${texts.get(path) ?? ''}${body}` : body;
      texts.set(path, text);
      programs.push({ line, text });
    }
  }
  return { programs, files, fragments };
}
