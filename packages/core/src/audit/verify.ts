import type { KeyObject } from 'node:crypto';
import type { JsonValue } from '../spi/base.js';
import { isBeingWritten } from './chain-file.js';
import { type AuditCheckpoint, publicKeyOf, signatureMatches } from './checkpoint.js';
import { noHash, type ParsedEntry, parseLine } from './entry.js';
import { type EventPlace, eventLineReader } from './event-line.js';
import { HashList } from './hash-list.js';
import { fileOf, lineBreak, partsOf, writersIn } from './lines.js';

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
    for await (const { bytes, whole } of partsOf(fileOf(folder, writer))) {
      if (whole) chain.checkAll(bytes);
      else if (!(await isBeingWritten(folder, writer))) chain.torn();
    }
    if (options.publicKey !== undefined && (await isBeingWritten(folder, writer))) chain.growing();
  }
  return verifier.finish();
}

/** Checks chains from any source of lines, such as a sink; each chain's lines must come in order. */
export async function verifyAuditLines(
  lines: AsyncIterable<string> | Iterable<string>,
  options: AuditVerifyOptions = {},
): Promise<AuditVerification> {
  const verifier = new Verifier(options);
  for await (const line of lines) {
    const entry = parseLine(line);
    verifier.chain(entry?.writer ?? 'unknown').check(entry);
  }
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
  readonly #readEvent: ReturnType<typeof eventLineReader>;
  #entries = 0;
  #sequence = -1;
  #hash = noHash;
  #damaged = 0;
  #signedThrough = -1;
  #growing = false;
  #badSignature = false;
  records = 0;

  constructor(writer: string, parts: ChainVerifierParts) {
    this.#writer = writer;
    this.#parts = parts;
    this.#readEvent = eventLineReader(writer);
  }

  /** Checks whole lines. */
  checkAll(bytes: Buffer): void {
    for (let from = 0; from < bytes.length; ) {
      const to = bytes.indexOf(lineBreak, from);
      const event = this.#readEvent(bytes, from, to);
      if (event === undefined) this.check(parseLine(bytes.toString('utf8', from, to)));
      else {
        this.#entries += 1;
        this.records += 1;
        this.#checkPlace(event);
      }
      from = to + 1;
    }
  }

  /** Checks one entry; `undefined` stands for a line that is none. */
  check(entry: ParsedEntry | undefined): void {
    this.#entries += 1;
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

  #checkPlace(entry: EventPlace): void {
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
    this.#badSignature = true;
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

  /** A living process writes the chain: its newest entries are signed at the next checkpoint. */
  growing(): void {
    this.#growing = true;
  }

  #endIsUnsigned(): boolean {
    if (this.#parts.publicKey === undefined || this.#growing || this.#badSignature) return false;
    return this.#sequence > this.#signedThrough;
  }

  finish(): AuditChain {
    if (this.#parts.publicKey !== undefined && this.#signedThrough === -1) {
      this.#find('unsigned', undefined, 'No checkpoint of this chain is signed by the given key.');
    } else if (this.#endIsUnsigned()) {
      const from = this.#signedThrough + 1;
      const words = 'come after the last signed checkpoint: a process ended without one, or somebody rewrote the end.';
      this.#find('unsigned', from, `Entries ${from} to ${this.#sequence} ${words}`);
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
