import { encodeOtlpProtobuf } from '../encoding/otlp-protobuf.js';
import { decodeOtlpProtobuf } from '../encoding/otlp-protobuf-decode.js';
import type { SpanCodec } from './spool-record.js';

/** Spans stand on disk as they stand on the wire: an `ExportTraceServiceRequest` of OTLP in protobuf. */
export const spanCodec: SpanCodec = {
  encode: encodeOtlpProtobuf,
  decode: (bytes) => decodeOtlpProtobuf(bytes).spans,
};
