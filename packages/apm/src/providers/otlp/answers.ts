import { coreError, type MnopsErrorOptions } from '@mnops/core';
import type { HttpResponse } from '@mnops/core/http';
import type { JsonValue } from '@mnops/core/spi';
import { ProtobufReader, wire } from '../../encoding/protobuf-reader.js';
import { ProtobufWriter } from '../../encoding/protobuf-writer.js';

/** Media types of OTLP's two encodings. */
export const contentTypes = { protobuf: 'application/x-protobuf', json: 'application/json' } as const;
/** How a request or an answer is encoded. */
export type OtlpEncoding = keyof typeof contentTypes;

/** What a receiver said about a request that it took. */
export interface ExportSaid {
  /** Never negative. */
  readonly rejectedSpans: number;
  /** Its words, at most 1,000 characters; absent when there are none. */
  readonly message?: string | undefined;
}

/** Which of OTLP's encodings a message has; `undefined` for any other. */
export function encodingOf(contentType: string | undefined): OtlpEncoding | undefined {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  if (type === contentTypes.json) return 'json';
  return type === contentTypes.protobuf || type === 'application/protobuf' ? 'protobuf' : undefined;
}

/**
 * Reads an `ExportTraceServiceResponse`. A body without a media type of OTLP is JSON if it begins so, because some
 * receivers answer a request in protobuf with `{}`.
 *
 * @throws {MnopsError} `MNOPS_CORE_RESPONSE_INVALID` when it is none.
 */
export function exportAnswerOf(response: HttpResponse, context: MnopsErrorOptions): ExportSaid {
  const { bytes } = response;
  if (bytes.length === 0) return { rejectedSpans: 0 };
  if (encodingOf(response.headers['content-type']) !== 'protobuf') return saidInJson(response.json<JsonValue>());
  try {
    return saidInProtobuf(bytes);
  } catch {
    throw coreError('MNOPS_CORE_RESPONSE_INVALID', 'The answer is no ExportTraceServiceResponse in protobuf.', context);
  }
}

function saidInJson(body: JsonValue): ExportSaid {
  const { partialSuccess } = (body ?? {}) as { readonly partialSuccess?: unknown };
  const { rejectedSpans, errorMessage } = (partialSuccess ?? {}) as Readonly<Record<string, unknown>>;
  return said(rejectedSpans, errorMessage);
}

function saidInProtobuf(bytes: Uint8Array): ExportSaid {
  const reader = new ProtobufReader(bytes);
  let rejectedSpans: number | string = 0;
  let message = '';
  while (reader.next()) {
    if (!reader.is(1, wire.bytes)) {
      reader.skip();
      continue;
    }
    const outer = reader.enter();
    while (reader.next()) {
      if (reader.is(1, wire.varint)) rejectedSpans = reader.int64();
      else if (reader.is(2, wire.bytes)) message = reader.text();
      else reader.skip();
    }
    reader.leave(outer);
  }
  return said(rejectedSpans, message);
}

function said(rejected: unknown, message: unknown): ExportSaid {
  const rejectedSpans = Math.max(0, Math.trunc(Number(rejected ?? 0)) || 0);
  return typeof message === 'string' && message !== ''
    ? { rejectedSpans, message: message.slice(0, 1_000) }
    : { rejectedSpans };
}

/** The words of a `google.rpc.Status` in either encoding, at most 200 characters on one line; `undefined` when there are none. */
export function statusMessageOf(response: HttpResponse): string | undefined {
  try {
    const words =
      encodingOf(response.headers['content-type']) === 'protobuf'
        ? messageField(response.bytes)
        : (response.json<{ readonly message?: unknown } | null>()?.message ?? '');
    if (typeof words !== 'string') return undefined;
    const line = words
      .replace(/[\s\p{Cc}]+/gu, ' ')
      .trim()
      .slice(0, 200);
    return line === '' ? undefined : line;
  } catch {
    // A proxy's page is no status; the number of the answer says enough.
    return undefined;
  }
}

function messageField(bytes: Uint8Array): string {
  const reader = new ProtobufReader(bytes);
  let message = '';
  while (reader.next()) {
    if (reader.is(2, wire.bytes)) message = reader.text();
    else reader.skip();
  }
  return message;
}

/** An `ExportTraceServiceResponse`; spans that were not taken are told with their reasons. */
export function exportAnswer(encoding: OtlpEncoding, rejectedSpans: number, errorMessage: string): Uint8Array {
  if (encoding === 'json') {
    const partialSuccess = rejectedSpans > 0 ? { rejectedSpans: String(rejectedSpans), errorMessage } : {};
    return Buffer.from(JSON.stringify({ partialSuccess }));
  }
  const writer = new ProtobufWriter();
  if (rejectedSpans > 0) {
    const start = writer.begin(0x0a);
    writer.unsigned(0x08, rejectedSpans);
    writer.text(0x12, errorMessage);
    writer.end(start);
  }
  return writer.finish();
}

/** A `google.rpc.Status`. */
export function statusAnswer(encoding: OtlpEncoding, code: number, message: string): Uint8Array {
  if (encoding === 'json') return Buffer.from(JSON.stringify({ code, message }));
  const writer = new ProtobufWriter();
  writer.unsigned(0x08, code);
  writer.text(0x12, message);
  return writer.finish();
}
