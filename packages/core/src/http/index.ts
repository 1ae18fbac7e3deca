export { type AwsKeys, type AwsSigningOptions, type AwsSigningRequest, signAwsRequest } from './aws-signature.js';
export { httpClient, isHttpClient } from './client.js';
export { type SafeJsonOptions, safeJsonParse } from './json.js';
export { resourceUrl } from './resource-url.js';
export { errorFromResponse, parseRetryAfter, type ResponseErrorContext } from './response-error.js';
export type {
  HttpClient,
  HttpClientOptions,
  HttpResponse,
  HttpStreamResponse,
  RequestInput,
  TlsOptions,
} from './types.js';
