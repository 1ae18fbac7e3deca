import { gunzipSync } from 'node:zlib';
import type { Span } from '@mnops/core/spi';
import { type FaultServer, faultServer, type RecordedRequest, type ScriptedReply } from '@mnops/core/testing';
import { decodeOtlpProtobuf } from '../../encoding/otlp-protobuf-decode.js';
import { contentTypes, encodingOf, exportAnswer, statusAnswer } from './answers.js';
import { decodeOtlpJson } from './decode.js';

/** A receiver of OTLP in this process. */
export interface OtlpFake {
  readonly server: FaultServer;
  readonly spans: readonly Span[];
  /** Takes so many spans less of the next request. */
  rejectNext(spans: number): void;
}

/** What a receiver does not take: a status and words. */
export type Refusal = readonly [status: number, message: string];

/** Starts a receiver that answers in the encoding of the request; `check` may refuse a request. */
export async function otlpFake(
  check: (request: RecordedRequest, body: Buffer, spans: readonly Span[]) => Refusal | undefined = () => undefined,
): Promise<OtlpFake> {
  const server = await faultServer();
  const spans: Span[] = [];
  const rejections: number[] = [];
  server.handler((request): ScriptedReply => {
    const encoding = encodingOf(request.headers['content-type']) ?? 'json';
    const headers = { 'content-type': contentTypes[encoding] };
    const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(request.body) : request.body;
    const decoded = encoding === 'json' ? decodeOtlpJson(body.toString('utf8')) : decodeOtlpProtobuf(body);
    const refusal = check(request, body, decoded.spans);
    if (refusal !== undefined) return { status: refusal[0], headers, body: statusAnswer(encoding, 3, refusal[1]) };
    spans.push(...decoded.spans);
    return { headers, body: exportAnswer(encoding, rejections.shift() ?? 0, 'as told') };
  });
  return { server, spans, rejectNext: (count) => rejections.push(count) };
}
