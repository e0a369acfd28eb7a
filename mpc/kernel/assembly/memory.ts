// Where the working memory of the functions here is: before the caller's arena, and overwritten with it after each call.

/** Bytes of the scratch, one piece for each subject, so that one may call the other. */
const SCRATCH_BYTES: usize = 4096

@inline
export function scratch(): usize {
  return (__heap_base + 63) & ~63
}

/** The first byte that a call may leave secrets in. */
export function scratchStart(): usize {
  return scratch()
}

/** Where memory is free for the caller. */
export function arenaStart(): usize {
  return scratch() + SCRATCH_BYTES
}
