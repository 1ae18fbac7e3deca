import { decodeOtlpJson } from '../providers/otlp/decode.js';
import { encodeOtlpJson } from '../providers/otlp/encode.js';
import type { SpanCodec } from './spool-record.js';

/** How spans stand in the spool. */
export const spanCodec: SpanCodec = {
  encode: (batch) => Buffer.from(encodeOtlpJson(batch)),
  decode: (bytes) => decodeOtlpJson(Buffer.from(bytes).toString('utf8')).spans,
};
