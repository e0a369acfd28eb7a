export { StoreRefused } from './errors.js'
export { openStore, type Database, type StoreOptions } from './open.js'
export { sqliteDatabaseExists } from './sqlite.js'
