import type { HttpResponse, HttpStreamResponse, RequestInput } from '../http/index.js';
import type { Call } from '../spi/base.js';
import type { ClusterSession, SignedIn } from './cluster-session.js';

/** One request, but for what signs it in. */
export type ClusterRequest = Omit<RequestInput, 'signal' | 'stream'>;

/** One exchange; where the credentials were refused and newer ones may be had, one more. */
export async function send(session: ClusterSession, request: ClusterRequest, call: Call): Promise<HttpResponse> {
  const answer = await twice(session, call, async ({ http, headers }) => {
    return await http.request({ ...withHeaders(request, headers), signal: call.signal });
  });
  return answer;
}

/** The same with the body of the answer still on its way; `timeoutMs` is then for each stretch without a byte. */
export async function sendStreamed(
  session: ClusterSession,
  request: ClusterRequest,
  call: Call,
): Promise<HttpStreamResponse> {
  return await twice(session, call, async ({ http, headers }) => {
    return await http.request({ ...withHeaders(request, headers), signal: call.signal, stream: true });
  });
}

async function twice<R extends { readonly status: number; discard?(): void }>(
  session: ClusterSession,
  call: Call,
  exchange: (signedIn: SignedIn) => Promise<R>,
): Promise<R> {
  const first = await session.signIn(call);
  const answer = await exchange(first);
  if (answer.status !== 401 || !first.refused()) return answer;
  answer.discard?.();
  return await exchange(await session.signIn(call));
}

function withHeaders(request: ClusterRequest, headers: Readonly<Record<string, string>>): ClusterRequest {
  return { ...request, headers: { accept: 'application/json', ...request.headers, ...headers } };
}
