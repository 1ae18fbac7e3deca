import type { JsonValue } from './base.js';

/** What somebody did, or tried to do. */
export interface AuditEvent {
  /** Who: a user, a service, a rotation job. 1 to 1,024 characters. */
  readonly actor: string;
  /** What was done, such as `read` or `backup`. 1 to 1,024 characters. */
  readonly operation: string;
  /** What it was done to, such as a secret's path. 1 to 1,024 characters. */
  readonly target: string;
  readonly outcome: 'ok' | 'denied' | 'failed';
  /** Error code of what was denied or failed. */
  readonly code?: string | undefined;
  /** Further facts, at most 16 KiB as JSON. Never a secret value. */
  readonly details?: Readonly<Record<string, JsonValue>> | undefined;
}

/** An event in its place in the chain of one writer. */
export interface AuditRecord extends AuditEvent {
  /** Name of the service that wrote it. */
  readonly service: string;
  /** Chain that it stands in; each process writes one of its own. */
  readonly writer: string;
  /** Place in that chain. The chain's own entries have numbers too, so those of events have gaps. */
  readonly sequence: number;
  readonly at: Date;
  /** Hash of the entry before, 64 hexadecimal digits. */
  readonly previousHash: string;
  /** SHA-256 of this entry, 64 hexadecimal digits. */
  readonly hash: string;
}

/** One entry of a chain: an event, or an entry of the chain's own such as a checkpoint. */
export interface AuditEntry {
  /** The exact text that was hashed and its hash, one line of JSON. Keep it to verify the chain. */
  readonly line: string;
  /** The event; absent for the chain's own entries. */
  readonly record?: AuditRecord | undefined;
}

/** Where audit entries go beside or instead of a folder. */
export interface AuditSink {
  /**
   * Keeps the entries, in order; they are durable when it resolves. After a failure the same writer and sequence may
   * come again with another content, which then replaces the first.
   */
  append(entries: readonly AuditEntry[]): Promise<void>;
  /** Lines that were kept, of all writers, each chain in order. Without it, queries see only what this process wrote. */
  lines?(): AsyncIterable<string>;
}
