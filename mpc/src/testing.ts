/**
 * For tests only: the entry points with the random source given. A run with a random source that is not the
 * platform's own can give a key away; nothing here is reachable from `@vertex/mpc`.
 */
export { startKeygenWith } from './dkls23/keygen/round1.js'
export { startSignFirstWith } from './dkls23/sign/flight-first.js'
export { startSignSecondWith } from './dkls23/sign/flight-second.js'
export { startSignManyWith } from './dkls23/sign/round1.js'
export { startPairSetupWith } from './setup/index.js'
