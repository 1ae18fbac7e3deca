export type { Login } from './login.js';
export { type MysqlClientLike, type MysqlUserOptions, mysqlUser } from './mysql-user.js';
export type { PasswordOptions } from './password.js';
export { type PostgresClientLike, type PostgresUserOptions, postgresUser } from './postgres-user.js';
export { type AmqpConnectionLike, type RabbitmqUserOptions, rabbitmqUser } from './rabbitmq-user.js';
export { type RandomValueOptions, randomValue } from './random-value.js';
export { type RedisAclUserOptions, type RedisClientLike, redisAclUser } from './redis-acl-user.js';
export type { ClientEvents, ConnectAs } from './session.js';
export { type SigningKeyOptions, signingKey } from './signing-key.js';
