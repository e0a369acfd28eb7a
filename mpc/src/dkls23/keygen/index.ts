export type { KeygenInput } from './input.js'
export { startKeygen } from './round1.js'
