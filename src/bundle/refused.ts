/** Why a bundle cannot be used here. docs/spec/bundle.md, section 4. */
export type BundleFault =
  | 'bundle_unreadable'
  | 'not_a_bundle'
  | 'bundle_newer'
  | 'bundle_of_other_vault'
  | 'bundle_secret_missing'
  | 'bundle_truncated'
  | 'bundle_damaged'

/** A bundle cannot be used here; the message says why and what to do. */
export class BundleRefused extends Error {
  override readonly name = 'BundleRefused'
  constructor(
    readonly code: BundleFault,
    message: string,
  ) {
    super(message)
  }
}

export const damaged = (what: string): BundleRefused =>
  new BundleRefused(
    'bundle_damaged',
    `the bundle is damaged or was changed (${what}); use another copy of it`,
  )

export const truncated = (): BundleRefused =>
  new BundleRefused(
    'bundle_truncated',
    'the bundle ends too early: it was not copied or written whole; use another copy of it',
  )
