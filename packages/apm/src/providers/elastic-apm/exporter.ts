import { credential } from '@mnops/core';
import { credentialSchema, parseOptions } from '@mnops/core/config';
import type { HttpResponse } from '@mnops/core/http';
import type { Call, Credential, ExportAnswer, JsonValue, TraceExporter } from '@mnops/core/spi';
import * as v from 'valibot';
import {
  addressSchema,
  httpExporter,
  isTaken,
  type ReceiverOptions,
  receiverAddress,
  receiverSchema,
  refusalOf,
} from '../http-exporter.js';
import { encodeIntake } from './encode.js';

/** Where spans go. `maxRequestBytes` is 768 KiB and `id` is `elastic-apm` unless given. */
export interface ElasticApmOptions extends ReceiverOptions {
  /** Base address of the APM server, or the whole one, which ends in `/intake/v2/events`. Default `http://127.0.0.1:8200`. */
  readonly url?: string | undefined;
  /** Secret token of the server. */
  readonly secretToken?: Credential | undefined;
  /** API key in its encoded form, in place of a secret token. */
  readonly apiKey?: Credential | undefined;
}

const optionsSchema = v.pipe(
  v.strictObject({
    ...receiverSchema,
    url: v.optional(addressSchema),
    secretToken: v.optional(credentialSchema),
    apiKey: v.optional(credentialSchema),
  }),
  v.forward(
    v.check(
      ({ secretToken, apiKey }) => secretToken === undefined || apiKey === undefined,
      'absent beside secretToken',
    ),
    ['apiKey'],
  ),
);

/**
 * Delivers spans to an Elastic APM server by its intake v2: local roots as transactions, others as spans, and exceptions
 * as errors.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` when an option is unknown or malformed, or both ways to log in are
 * given.
 */
export function elasticApm(options: ElasticApmOptions = {}): TraceExporter {
  const {
    url: base = 'http://127.0.0.1:8200',
    maxRequestBytes = 786_432,
    id = 'elastic-apm',
    timeoutMs,
    client,
    ...login
  } = parseOptions('elasticApm', optionsSchema, options);
  return httpExporter({
    id,
    // The server gives each document an id of its own, so a repeated batch makes doubles.
    capabilities: { maxRequestBytes, partialSuccess: true, safeToRepeat: false },
    credentials: login,
    method: 'POST',
    url: receiverAddress(base, 'intake', 'v2', 'events').url,
    compression: 'gzip',
    timeoutMs,
    client,
    request: async (batch, call) => {
      const { text, eventCount } = encodeIntake(batch);
      return {
        headers: { 'content-type': 'application/x-ndjson', ...(await authorization(login, call)) },
        body: Buffer.from(text),
        answer: (response) => answerOf(response, batch.spanCount, eventCount, id),
      };
    },
  });
}

async function authorization(
  { secretToken, apiKey }: Pick<ElasticApmOptions, 'secretToken' | 'apiKey'>,
  call: Call,
): Promise<Record<string, string>> {
  if (secretToken !== undefined) return { authorization: `Bearer ${await credential(secretToken, call)}` };
  if (apiKey !== undefined) return { authorization: `ApiKey ${await credential(apiKey, call)}` };
  return {};
}

interface IntakeAnswer {
  readonly accepted: number;
  readonly errors: readonly { readonly message: string; readonly document: string }[];
}

function answerOf(response: HttpResponse, spanCount: number, eventCount: number, id: string): ExportAnswer {
  const { status, bytes } = response;
  const taken = isTaken(response);
  // The server answers 400 as soon as one document is wrong, although it takes the others.
  if (!taken && status !== 400) throw refusalOf(response, id);
  if (taken && bytes.length === 0) return { accepted: spanCount, rejected: 0 };
  const told = taken ? intakeAnswer(response.json()) : intakeAnswer(parsed(response));
  if (told === undefined) {
    if (taken) return { accepted: spanCount, rejected: 0 };
    throw refusalOf(response, id);
  }
  // Documents of exceptions are no spans: losing one loses no span.
  const lostErrors = told.errors.filter(({ document }) => document.startsWith('{"error"')).length;
  const lost = Math.max(0, eventCount - told.accepted - lostErrors);
  const rejected = Math.min(spanCount, lost);
  const message = told.errors[0]?.message ?? '';
  return {
    accepted: spanCount - rejected,
    rejected,
    ...(message === '' ? {} : { message: message.slice(0, 1_000) }),
  };
}

function parsed(response: HttpResponse): JsonValue {
  try {
    return response.json();
  } catch {
    return null;
  }
}

/** What an answer says of the documents; `undefined` when it says nothing of them. */
function intakeAnswer(body: JsonValue): IntakeAnswer | undefined {
  const { accepted, errors } = (body ?? {}) as { accepted?: unknown; errors?: unknown };
  if (typeof accepted !== 'number' || !Number.isFinite(accepted)) return undefined;
  const listed: readonly unknown[] = Array.isArray(errors) ? errors : [];
  return {
    accepted,
    errors: listed.map((item) => {
      const { message, document } = (item ?? {}) as { message?: unknown; document?: unknown };
      return {
        message: typeof message === 'string' ? message : '',
        document: typeof document === 'string' ? document : '',
      };
    }),
  };
}
