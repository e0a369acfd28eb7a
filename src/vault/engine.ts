import {
  runKeygen,
  runSignBatch,
  type KeygenRun,
  type KeyShare,
  type Signature,
  type SignBatchRun,
  type Suite,
} from '@vertex/mpc'

/**
 * Where protocol runs are computed: here, in the thread that asks. Everything else only knows these two functions, so
 * that the work can move to other threads.
 */
export interface Engine {
  keygen(run: Omit<KeygenRun, 'suite'>): Promise<KeyShare>
  /** One signature is a batch of one. */
  sign(run: Omit<SignBatchRun, 'suite'>): Promise<Signature[]>
}

export const localEngine = (suite: Suite): Engine => ({
  keygen: (run) => runKeygen({ ...run, suite }),
  sign: (run) => runSignBatch({ ...run, suite }),
})
