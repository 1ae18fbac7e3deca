import { credential } from '@mnops/core';
import { parseOptions } from '@mnops/core/config';
import { errorFromResponse, type HttpClient, httpClient } from '@mnops/core/http';
import type { Credential, JsonValue, Notification, Notifier } from '@mnops/core/spi';
import * as v from 'valibot';
import { notifierIdSchema } from '../channel-name.js';
import { fittingText } from '../fitting-text.js';

/** UTF-8 bytes of a notification's text. */
const maxBytes = 65_536;

/** Where notifications are posted. */
export interface WebhookNotifierOptions {
  /** Address; webhook addresses are often secret, so a `secret://` reference is welcome. */
  readonly url: Credential;
  /** Value of the Authorization header, such as `Bearer …`. */
  readonly authorization?: Credential | undefined;
  /** Name of the channel in events and metrics: small letters, digits and `-`. Default `webhook`. */
  readonly id?: string | undefined;
  /** Makes the JSON body. Default: the notification itself. */
  readonly body?: ((notification: Notification) => JsonValue) | undefined;
  /** Ready client. Default: one that refuses answers over 64 KiB. */
  readonly client?: HttpClient | undefined;
}

const credentialSchema = v.union([v.pipe(v.string(), v.nonEmpty()), v.function()]);
const optionsSchema = v.strictObject({
  url: credentialSchema,
  authorization: v.optional(credentialSchema),
  id: v.optional(notifierIdSchema),
  body: v.optional(v.function()),
  client: v.optional(v.custom<HttpClient>((value) => typeof value === 'object' && value !== null)),
});

/**
 * Posts each notification as JSON; any 2xx answer is success.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`; `send` rejects with the code that fits the answer.
 */
export function webhookNotifier(options: WebhookNotifierOptions): Notifier {
  parseOptions('webhookNotifier', optionsSchema, options);
  const { url, authorization, id = 'webhook', body = (notification) => notification as unknown as JsonValue } = options;
  const client = options.client ?? httpClient({ maxBytes });
  return {
    specVersion: 1,
    kind: 'notifier',
    id,
    capabilities: { resolved: true, threads: false, maxBytes },
    async send(notification, call) {
      const headers: Record<string, string> = {};
      if (authorization !== undefined) headers['authorization'] = await credential(authorization, call);
      const response = await client.request({
        method: 'POST',
        url: await credential(url, call),
        headers,
        json: body({ ...notification, text: fittingText(notification.text, maxBytes) }),
        signal: call.signal,
      });
      if (response.status >= 200 && response.status < 300) return;
      throw errorFromResponse(response, { provider: id, operation: 'send' });
    },
  };
}
