export type { BundleHeader } from './header.js'
export { openBundle, type BundleReader, type OpenedBundle } from './read.js'
export { BundleRefused, type BundleFault } from './refused.js'
export { writeBundle } from './write.js'
