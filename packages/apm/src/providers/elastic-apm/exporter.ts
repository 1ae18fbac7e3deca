import { credential } from '@mnops/core';
import { credentialSchema, parseOptions } from '@mnops/core/config';
import { type HttpResponse, resourceUrl } from '@mnops/core/http';
import type { Call, Credential, ExportAnswer, JsonValue, TraceExporter } from '@mnops/core/spi';
import * as v from 'valibot';
import {
  addressSchema,
  assertFits,
  compressed,
  type ReceiverOptions,
  receiverClient,
  receiverSchema,
  refusalOf,
} from '../../delivery/http-receiver.js';
import { encodeIntake } from './encode.js';

/** Where spans go. `maxRequestBytes` is 768 KiB and `id` is `elastic-apm` unless given. */
export interface ElasticApmOptions extends ReceiverOptions {
  /** Base address of the APM server. Default `http://127.0.0.1:8200`. */
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
    client: given,
    ...login
  } = parseOptions('elasticApm', optionsSchema, options);
  const url = resourceUrl(base, 'intake', 'v2', 'events');
  const client = given ?? receiverClient();

  return {
    specVersion: 1,
    kind: 'trace-exporter',
    id,
    capabilities: {
      maxRequestBytes,
      maxSpansPerRequest: 10_000,
      partialSuccess: true,
      // The server gives each document an id of its own.
      safeToRepeat: false,
      delivers: 'remote',
    },
    async export(batch, call) {
      if (batch.spanCount === 0) return { accepted: 0, rejected: 0 };
      const { text, eventCount } = encodeIntake(batch);
      const body = Buffer.from(text);
      assertFits(body.length, maxRequestBytes, id);
      const response = await client.request({
        method: 'POST',
        url,
        headers: {
          'content-type': 'application/x-ndjson',
          'content-encoding': 'gzip',
          ...(await authorization(login, call)),
        },
        body: await compressed(body),
        signal: call.signal,
      });
      return answerOf(response, batch.spanCount, eventCount, id);
    },
    // A client that was handed in belongs to its owner.
    async close() {
      if (given === undefined) await client.close();
    },
  };
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
  const isTaken = status >= 200 && status <= 299;
  // The server answers 400 as soon as one document is wrong, although it takes the others.
  if (!isTaken && status !== 400) throw refusalOf(response, id);
  if (isTaken && bytes.length === 0) return { accepted: spanCount, rejected: 0 };
  const told = isTaken ? intakeAnswer(response.json()) : intakeAnswer(parsed(response));
  if (told === undefined) {
    if (isTaken) return { accepted: spanCount, rejected: 0 };
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
