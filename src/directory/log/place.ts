/**
 * The last part of the name of a log is its own path below /log: what one log publishes is never taken for what another
 * did, by no cache either. docs/spec/directory-log.md, section 3
 */
export const placeOf = (origin: string): string => origin.slice(origin.lastIndexOf('/') + 1)
