import type { operations } from '../generated/api.js'

export type RouteName = keyof operations

/** Every route of openapi.yaml by its operationId. A test compares this table with the document. */
export const routes = {
  createRoom: ['POST', '/create-room'],
  createKey: ['GET', '/ecdsa/create'],
  keygen: ['POST', '/ecdsa/keygen'],
  sign: ['POST', '/ecdsa/sign'],
  batchSign: ['POST', '/ecdsa/batch-sign'],
  derivePubkey: ['POST', '/ecdsa/derive-pubkey'],
  listKeys: ['GET', '/ecdsa/keys'],
  getKey: ['GET', '/ecdsa/keys/{key_id}'],
  exportId: ['GET', '/ecdsa/export-id/{key_id}'],
  deleteKeyShare: ['DELETE', '/ecdsa/delete-key-share/{key_id}'],
  exportKeyShare: ['GET', '/ecdsa/backup/export-key-share/{key_id}'],
  importKeyShare: ['POST', '/ecdsa/backup/import-key-share'],
  verifyKeyShare: ['POST', '/ecdsa/backup/verify-key-share'],
  rewrapKeyShare: ['POST', '/ecdsa/backup/rewrap-key-share'],
  drillKeyShare: ['POST', '/ecdsa/backup/drill-key-share'],
  backupCoverage: ['GET', '/backup/coverage'],
  createUserByQuery: ['GET', '/admin/create-user'],
  createUser: ['POST', '/admin/create-user'],
  generateApiKeyByQuery: ['GET', '/admin/generate-api-key'],
  generateApiKey: ['POST', '/admin/generate-api-key'],
  revokeApiKey: ['DELETE', '/admin/revoke-api-key'],
  deleteUser: ['DELETE', '/admin/delete-user'],
  deleteTombstone: ['DELETE', '/admin/delete-tombstone'],
  persistentKeygenId: ['GET', '/cluster/persistent-keygen-id'],
  directoryIdentity: ['GET', '/directory/identity'],
  identityPubkey: ['GET', '/identity-pubkey'],
  livez: ['GET', '/livez'],
  readyz: ['GET', '/readyz'],
  version: ['GET', '/version'],
  openapi: ['GET', '/openapi.json'],
  docs: ['GET', '/docs'],
  docsAsset: ['GET', '/docs/{asset}'],
} as const satisfies Record<RouteName, readonly [method: string, path: string]>

/** The operations whose input travels in the query. */
export const queryRoutes: ReadonlySet<RouteName> = new Set<RouteName>([
  'exportKeyShare',
  'backupCoverage',
  'createUserByQuery',
  'generateApiKeyByQuery',
  'deleteUser',
])
