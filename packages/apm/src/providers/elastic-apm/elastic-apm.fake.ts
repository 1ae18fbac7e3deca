import { gunzipSync } from 'node:zlib';
import type { RecordedRequest, ScriptedReply } from '@mnops/core/testing';

/** What one line of the intake holds; its one key says which kind of document it is. */
export type IntakeDocument = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** The documents of a request. */
export function documentsOf(request: RecordedRequest): IntakeDocument[] {
  const text = gunzipSync(request.body).toString('utf8');
  if (!text.endsWith('\n')) throw new Error('The last line has no end.');
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => JSON.parse(line) as IntakeDocument);
}

/** An APM server's reply to a request of which it refuses the first documents: 202 without a body if it refuses none. */
export function intakeReply(request: RecordedRequest, refused = 0): ScriptedReply {
  const [metadata, ...events] = documentsOf(request);
  if (metadata?.['metadata'] === undefined) {
    return { status: 400, body: { accepted: 0, errors: [{ message: 'metadata not found' }] } };
  }
  if (refused === 0) return { status: 202 };
  const errors = events.slice(0, Math.min(refused, 5)).map((document) => ({
    message: 'failed to validate transaction',
    document: JSON.stringify(document),
  }));
  return { status: 400, body: { accepted: Math.max(0, events.length - refused), errors } };
}
