export type { SignInput, Signature } from './input.js'
export { startSignFirst } from './flight-first.js'
export { startSignSecond } from './flight-second.js'
export { startSignMany } from './round1.js'
