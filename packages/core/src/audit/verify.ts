import type { KeyObject } from 'node:crypto';
import type { JsonValue } from '../spi/base.js';
import { isBeingWritten } from './chain-file.js';
import { type AuditCheckpoint, publicKeyOf, signatureMatches } from './checkpoint.js';
import { noHash, type ParsedEntry, parseLine } from './entry.js';
import { fileOf, linesOf, writersIn } from './lines.js';

/** What is wrong with a chain. */
export type AuditFindingKind =
  /** A line does not match its own hash, or is no entry at all. */
  | 'changed'
  /** Entries are missing between two others. */
  | 'dropped'
  /** An entry stands in the wrong place or twice. */
  | 'swapped'
  /** An entry follows another one than it was written after. */
  | 'broken'
  /** An entry of another chain stands in this one. */
  | 'foreign'
  /** The chain ends before a place that a checkpoint or a later opening knew, or in the middle of a line. */
  | 'truncated'
  /** A chain that a checkpoint or another chain knew is gone. */
  | 'missing'
  /** A checkpoint's signature is not by the given key, or the chain has none. */
  | 'unsigned';

/** One thing that a verification found. */
export interface AuditFinding {
  readonly kind: AuditFindingKind;
  readonly writer: string;
  readonly sequence?: number | undefined;
  /** Sentence for a person. */
  readonly message: string;
}

/** State of one chain. */
export interface AuditChain {
  readonly writer: string;
  readonly entries: number;
  readonly headSequence: number;
  readonly headHash: string;
  /** Last entry that a signature by the given key covers; -1 when none does or no key was given. */
  readonly signedThrough: number;
}

/** What a verification came to. */
export interface AuditVerification {
  /** True when nothing was found. */
  readonly intact: boolean;
  /** Events that were checked. */
  readonly records: number;
  /** At most 1,000. */
  readonly findings: readonly AuditFinding[];
  readonly chains: readonly AuditChain[];
}

/** What a verification knows beside the chains. */
export interface AuditVerifyOptions {
  /** Public Ed25519 key that must have signed the checkpoints: PEM, SPKI in base64, or a `KeyObject`. */
  readonly publicKey?: KeyObject | string | undefined;
  /** Checkpoints that were kept elsewhere: what they cover must still be there. */
  readonly checkpoints?: readonly Pick<AuditCheckpoint, 'writer' | 'sequence' | 'hash'>[] | undefined;
  /** The oldest entries may have been given up, so a chain may begin anywhere. Default false. */
  readonly partial?: boolean | undefined;
}

const mostFindings = 1_000;

interface Anchor {
  readonly writer: string;
  readonly sequence: number;
  readonly hash: string;
  readonly by: string;
}

/**
 * Checks every chain in an audit folder: nothing changed, dropped, swapped or re-dated, and nothing cut off that a
 * checkpoint or another chain knew. It reads only; chains that are being written may be checked.
 *
 * Without `publicKey` somebody who can write the folder could have recomputed a whole chain; without checkpoints kept
 * elsewhere the end of the chain that was written last could be missing.
 *
 * @throws {MnopsError} `MNOPS_CORE_STORAGE_FAILED`, `MNOPS_CORE_KEY_INVALID`.
 */
export async function verifyAuditFolder(folder: string, options: AuditVerifyOptions = {}): Promise<AuditVerification> {
  const verifier = new Verifier(options);
  for (const writer of await writersIn(folder)) {
    const chain = verifier.chain(writer);
    for await (const lines of linesOf(fileOf(folder, writer))) {
      for (const { text, whole } of lines) {
        if (whole) chain.check(text);
        else if (!(await isBeingWritten(folder, writer))) chain.torn();
      }
    }
  }
  return verifier.finish();
}

/** Checks chains from any source of lines, such as a sink; each chain's lines must come in order. */
export async function verifyAuditLines(
  lines: AsyncIterable<string> | Iterable<string>,
  options: AuditVerifyOptions = {},
): Promise<AuditVerification> {
  const verifier = new Verifier(options);
  for await (const line of lines) verifier.chain(parseLine(line)?.writer ?? 'unknown').check(line);
  return verifier.finish();
}

class Verifier {
  readonly #publicKey: KeyObject | undefined;
  readonly #partial: boolean;
  readonly #chains = new Map<string, ChainVerifier>();
  readonly #findings: AuditFinding[] = [];
  /** By writer and sequence: what others say about a chain. */
  readonly #anchors: Anchor[] = [];

  constructor(options: AuditVerifyOptions) {
    this.#publicKey = options.publicKey === undefined ? undefined : publicKeyOf(options.publicKey);
    this.#partial = options.partial === true;
    for (const { writer, sequence, hash } of options.checkpoints ?? []) {
      this.#anchors.push({ writer, sequence, hash, by: 'a checkpoint' });
    }
  }

  chain(writer: string): ChainVerifier {
    let chain = this.#chains.get(writer);
    if (chain === undefined) {
      const report = (finding: AuditFinding): void => {
        if (this.#findings.length < mostFindings) this.#findings.push(finding);
      };
      const anchor = (known: Anchor): unknown => this.#anchors.push(known);
      chain = new ChainVerifier(writer, { publicKey: this.#publicKey, partial: this.#partial, report, anchor });
      this.#chains.set(writer, chain);
    }
    return chain;
  }

  finish(): AuditVerification {
    for (const anchor of this.#anchors) {
      const chain = this.#chains.get(anchor.writer);
      if (chain !== undefined) chain.compare(anchor);
      else {
        const message = `The chain ${anchor.writer} is gone; ${anchor.by} knew it up to entry ${anchor.sequence}.`;
        this.#findings.push({ kind: 'missing', writer: anchor.writer, message });
      }
    }
    const chains = [...this.#chains.values()].map((chain) => chain.finish());
    const records = [...this.#chains.values()].reduce((sum, chain) => sum + chain.records, 0);
    return { intact: this.#findings.length === 0, records, findings: this.#findings, chains };
  }
}

/** Hashes by sequence, 32 bytes each: a chain may have millions of entries. */
class HashList {
  readonly #runs: { readonly first: number; readonly index: number }[] = [];
  #bytes: Buffer = Buffer.alloc(32 * 1024);
  #count = 0;
  #next = -1;

  add(sequence: number, hash: string): void {
    if (sequence !== this.#next) this.#runs.push({ first: sequence, index: this.#count });
    this.#next = sequence + 1;
    if (this.#bytes.length < (this.#count + 1) * 32) this.#bytes = Buffer.concat([this.#bytes], this.#bytes.length * 2);
    this.#bytes.write(hash, this.#count * 32, 32, 'hex');
    this.#count += 1;
  }

  get(sequence: number): string | undefined {
    const at = this.#runs.findLastIndex((run) => run.first <= sequence);
    const run = this.#runs[at];
    if (run === undefined) return undefined;
    const index = run.index + sequence - run.first;
    if (index >= (this.#runs[at + 1]?.index ?? this.#count)) return undefined;
    return this.#bytes.toString('hex', index * 32, index * 32 + 32);
  }
}

interface ChainVerifierParts {
  readonly publicKey: KeyObject | undefined;
  readonly partial: boolean;
  readonly report: (finding: AuditFinding) => void;
  readonly anchor: (anchor: Anchor) => void;
}

class ChainVerifier {
  readonly #writer: string;
  readonly #parts: ChainVerifierParts;
  /** Anchors may name any entry. */
  readonly #hashes = new HashList();
  #entries = 0;
  #sequence = -1;
  #hash = noHash;
  #damaged = 0;
  #signedThrough = -1;
  records = 0;

  constructor(writer: string, parts: ChainVerifierParts) {
    this.#writer = writer;
    this.#parts = parts;
  }

  check(line: string): void {
    this.#entries += 1;
    const entry = parseLine(line);
    if (entry === undefined) {
      this.#damaged += 1;
      this.#find(
        'changed',
        this.#sequence + this.#damaged,
        `Entry ${this.#sequence + this.#damaged} does not match its hash.`,
      );
      return;
    }
    if (entry.writer !== this.#writer) {
      this.#find('foreign', entry.sequence, `Entry ${entry.sequence} belongs to the chain ${entry.writer}.`);
      return;
    }
    if (entry.kind === 'event') this.records += 1;
    this.#checkPlace(entry);
    if (entry.kind === 'opened') this.#readOthers(entry.fields['others']);
    if (entry.kind === 'checkpoint') this.#checkSignature(entry);
  }

  #checkPlace(entry: ParsedEntry): void {
    if (this.#parts.partial && this.#entries === 1) {
      this.#sequence = entry.sequence - 1;
      this.#hash = entry.previousHash;
    }
    const expected = this.#sequence + 1 + this.#damaged;
    if (entry.sequence < expected) {
      this.#find('swapped', entry.sequence, `Entry ${entry.sequence} stands where ${expected} belongs.`);
      return;
    }
    if (entry.sequence > expected) {
      const last = entry.sequence - 1;
      const which = last === expected ? `Entry ${expected} is` : `Entries ${expected} to ${last} are`;
      this.#find('dropped', expected, `${which} missing.`);
    } else if (this.#damaged === 0 && entry.previousHash !== this.#hash) {
      this.#find(
        'broken',
        entry.sequence,
        `Entry ${entry.sequence} was written after another entry than the one before it.`,
      );
    }
    this.#damaged = 0;
    this.#sequence = entry.sequence;
    this.#hash = entry.hash;
    this.#hashes.add(entry.sequence, entry.hash);
  }

  #readOthers(others: JsonValue | undefined): void {
    if (!Array.isArray(others)) return;
    for (const other of others as readonly Partial<Anchor>[]) {
      const { writer, sequence, hash } = other;
      if (writer === undefined || sequence === undefined || hash === undefined) continue;
      this.#parts.anchor({ writer, sequence, hash, by: `the chain ${this.#writer}` });
    }
  }

  #checkSignature(entry: ParsedEntry): void {
    if (this.#parts.publicKey === undefined) return;
    const head = { sequence: entry.sequence - 1, hash: entry.previousHash };
    if (signatureMatches(this.#parts.publicKey, this.#writer, head, entry.fields['signature'])) {
      this.#signedThrough = entry.sequence;
      return;
    }
    this.#find('unsigned', entry.sequence, `The checkpoint ${entry.sequence} is not signed by the given key.`);
  }

  torn(): void {
    this.#find('truncated', this.#sequence + 1, `The chain ends in the middle of entry ${this.#sequence + 1}.`);
  }

  /** What was known elsewhere must still be there. */
  compare(anchor: Anchor): void {
    const hash = this.#hashes.get(anchor.sequence);
    if (hash === anchor.hash) return;
    if (hash === undefined && anchor.sequence > this.#sequence) {
      const message = `The chain ends at entry ${this.#sequence}; ${anchor.by} knew entry ${anchor.sequence}.`;
      this.#find('truncated', anchor.sequence, message);
    } else {
      this.#find('changed', anchor.sequence, `Entry ${anchor.sequence} is not the one that ${anchor.by} knew.`);
    }
  }

  finish(): AuditChain {
    if (this.#parts.publicKey !== undefined && this.#signedThrough === -1) {
      this.#find('unsigned', undefined, 'No checkpoint of this chain is signed by the given key.');
    }
    return {
      writer: this.#writer,
      entries: this.#entries,
      headSequence: this.#sequence,
      headHash: this.#hash,
      signedThrough: this.#signedThrough,
    };
  }

  #find(kind: AuditFindingKind, sequence: number | undefined, message: string): void {
    this.#parts.report({ kind, writer: this.#writer, sequence, message: `${message} (${this.#writer})` });
  }
}
