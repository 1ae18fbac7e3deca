import { nameBytes, nameFromBytes } from '../repository/go-format.js';

/** Folder inside every snapshot of ours that holds the point's own facts. */
export const pointFolder = '.mnops';
/** File in that folder with the hash of every file, in the form that `sha256sum -c` reads. */
export const manifestName = 'SHA256SUMS';
/** File in that folder with what the sources said. */
export const pointName = 'point.json';

/** One line of a manifest. */
export interface ManifestEntry {
  /** Path below the snapshot's root: source id, then path. */
  readonly path: string;
  /** Hex. */
  readonly sha256: string;
}

/** Line for a file; a name with a line end or backslash is escaped as GNU coreutils does. */
export function manifestLine({ path, sha256 }: ManifestEntry): string {
  if (!/[\\\n\r]/.test(path)) return `${sha256}  ${path}\n`;
  return `\\${sha256}  ${path.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r')}\n`;
}

/** Bytes of lines. */
export function manifestBytes(lines: readonly string[]): Buffer {
  return nameBytes(lines.join(''));
}

/** The hashes of a manifest by path; lines of another form are passed over. */
export function parseManifest(bytes: Buffer): Map<string, string> {
  const hashes = new Map<string, string>();
  for (const line of nameFromBytes(bytes).split('\n')) {
    const escaped = line.startsWith('\\');
    const text = escaped ? line.slice(1) : line;
    if (text.slice(64, 66) !== '  ') continue;
    const path = text.slice(66);
    hashes.set(
      escaped ? path.replace(/\\([\\nr])/g, (_, letter: string) => escapes[letter] ?? letter) : path,
      text.slice(0, 64),
    );
  }
  return hashes;
}

const escapes: Readonly<Record<string, string>> = { '\\': '\\', n: '\n', r: '\r' };
