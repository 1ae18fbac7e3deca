import { coreError } from '../errors/core-error.js';
import type { HttpResponse } from '../http/index.js';
import { isRecord } from './status-error.js';
import type { KubernetesList, KubernetesObject } from './types.js';
import { checkedObject } from './watch.js';

/** Times that a list begins anew before it gives up. */
const maxRestarts = 4;

type Page = (query: { readonly continue?: string | undefined }) => Promise<HttpResponse>;

/** All pages of a list. When the server no longer knows a page's place (410), everything is asked for again. */
export async function listed<T>(page: Page, maxItems: number): Promise<KubernetesList<T>> {
  for (let attempt = 1; attempt <= maxRestarts; attempt += 1) {
    const whole = await wholeList<T>(page, maxItems);
    if (whole !== undefined) return whole;
  }
  throw coreError('MNOPS_CORE_UNAVAILABLE', `kubernetes: a list outlived the server's memory ${maxRestarts} times.`, {
    provider: 'kubernetes',
    operation: 'list',
    remedy: 'Raise `pageSize`, or select fewer objects.',
  });
}

async function wholeList<T>(page: Page, maxItems: number): Promise<KubernetesList<T> | undefined> {
  const items: KubernetesObject<T>[] = [];
  for (let next: string | undefined; ; ) {
    const response = await page({ continue: next });
    if (response.status === 410) return undefined;
    const body = response.json<unknown>();
    const metadata = isRecord(body) ? body['metadata'] : undefined;
    if (!isRecord(body) || !isRecord(metadata)) throw invalid('metadata');
    const { resourceVersion, continue: token } = metadata;
    // A list without objects may leave its items out.
    for (const item of (body['items'] ?? []) as readonly unknown[]) items.push(checkedObject<T>(item));
    if (items.length > maxItems) throw tooMany(maxItems);
    if (typeof token !== 'string' || token === '') {
      if (typeof resourceVersion !== 'string') throw invalid('resourceVersion');
      return { items, resourceVersion };
    }
    if (token === next) throw invalid('continue');
    next = token;
  }
}

function invalid(field: string): Error {
  return coreError('MNOPS_CORE_RESPONSE_INVALID', `kubernetes: a list has no valid ${field}.`, {
    provider: 'kubernetes',
    operation: 'list',
    details: { field },
  });
}

function tooMany(maxItems: number): Error {
  return coreError('MNOPS_CORE_TOO_LARGE', `kubernetes: a list has more than maxItems, ${maxItems}, objects.`, {
    provider: 'kubernetes',
    operation: 'list',
    details: { maxItems },
  });
}
