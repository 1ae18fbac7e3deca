import * as v from 'valibot';
import {
  clockSchema,
  countSchema,
  credentialSchema,
  durationMsSchema,
  functionSchema,
  parseOptions,
  textSchema,
} from '../config/index.js';
import { type HttpClient, isHttpClient } from '../http/index.js';
import type { KubernetesClientOptions } from './types.js';

const execSchema = v.strictObject({
  command: textSchema,
  args: v.optional(v.array(v.string())),
  env: v.optional(v.record(v.string(), v.string())),
  apiVersion: v.optional(v.picklist(['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1'])),
  provideClusterInfo: v.optional(v.boolean()),
  timeoutMs: v.optional(durationMsSchema),
});
const accessSchema = v.strictObject({
  server: textSchema,
  ca: v.optional(textSchema),
  caFile: v.optional(textSchema),
  serverName: v.optional(textSchema),
  insecureSkipTlsVerify: v.optional(v.boolean()),
  namespace: v.optional(textSchema),
  namespaceFile: v.optional(textSchema),
  token: v.optional(credentialSchema),
  tokenFile: v.optional(textSchema),
  clientCertificate: v.optional(textSchema),
  clientCertificateFile: v.optional(textSchema),
  clientKey: v.optional(credentialSchema),
  clientKeyFile: v.optional(textSchema),
  exec: v.optional(execSchema),
});
const kubeconfigSchema = v.strictObject({
  kubeconfig: v.union([textSchema, v.pipe(v.array(textSchema), v.minLength(1))]),
  context: v.optional(textSchema),
  namespace: v.optional(textSchema),
  execPlugins: v.optional(v.boolean()),
});
const inClusterSchema = v.strictObject({
  inCluster: v.strictObject({
    host: v.optional(textSchema),
    port: v.optional(v.pipe(countSchema, v.maxValue(65_535))),
    folder: v.optional(textSchema),
  }),
  namespace: v.optional(textSchema),
});
const optionsSchema = v.strictObject({
  access: v.union([accessSchema, kubeconfigSchema, inClusterSchema]),
  fieldManager: v.optional(v.pipe(textSchema, v.maxLength(128))),
  pageSize: v.optional(countSchema),
  maxItems: v.optional(countSchema),
  maxBytes: v.optional(countSchema),
  timeoutMs: v.optional(v.pipe(durationMsSchema, v.minValue(1))),
  clock: v.optional(clockSchema),
  random: v.optional(functionSchema),
  http: v.optional(v.custom<HttpClient>(isHttpClient, 'an HttpClient')),
});

/** Passes when the options are as declared, unknown names included; every issue is listed otherwise. */
export function assertClientOptions(options: KubernetesClientOptions): void {
  parseOptions('kubernetesClient', optionsSchema, options);
}
