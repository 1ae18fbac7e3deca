import { type DdapmPart, ddapm } from './ddapm.js';
import { type JaegerPart, jaeger } from './jaeger.js';
import { type KubernetesPart, kubernetes } from './kubernetes.js';
import { type MariadbPart, mariadb } from './mariadb.js';
import { type MotoPart, moto } from './moto.js';
import { type NodePart, nodeRelease } from './node.js';
import { type OpensslPart, openssl } from './openssl.js';
import type { Part } from './part.js';
import { type PostgresPart, postgres } from './postgres.js';
import { type PrometheusPart, prometheus } from './prometheus.js';
import { type ProtocPart, protoc } from './protoc.js';
import { type RabbitmqPart, rabbitmq } from './rabbitmq.js';
import { type RedisPart, redis } from './redis.js';
import { type ResticPart, restic } from './restic.js';
import { type VaultPart, vault } from './vault.js';
import { type ZipkinPart, zipkin } from './zipkin.js';

interface Parts {
  readonly restic: ResticPart;
  readonly prometheus: PrometheusPart;
  readonly moto: MotoPart;
  readonly postgres: PostgresPart;
  readonly mariadb: MariadbPart;
  readonly redis: RedisPart;
  readonly rabbitmq: RabbitmqPart;
  readonly vault: VaultPart;
  readonly kubernetes: KubernetesPart;
  readonly zipkin: ZipkinPart;
  readonly ddapm: DdapmPart;
  readonly jaeger: JaegerPart;
  readonly protoc: ProtocPart;
  readonly openssl: OpensslPart;
  readonly node22: NodePart;
  readonly node24: NodePart;
}

export type PartId = keyof Parts;
export type PartOf<K extends PartId> = Parts[K];

/** One line per part: this is the list that `npm run parts` prints. */
const makers: { readonly [K in PartId]: () => Parts[K] } = {
  restic,
  prometheus,
  moto,
  postgres,
  mariadb,
  redis,
  rabbitmq,
  vault,
  kubernetes,
  zipkin,
  ddapm,
  jaeger,
  protoc,
  openssl,
  node22: () => nodeRelease(22),
  node24: () => nodeRelease(24),
};

/** Looks for one part on this machine. */
export function part<K extends PartId>(id: K): PartOf<K> {
  return makers[id]();
}

/** Looks for every known part. */
export function allParts(): readonly Part[] {
  return Object.values(makers).map((make) => make());
}

export function isPartId(id: string): id is PartId {
  return Object.hasOwn(makers, id);
}
