/** What the operator decides about share codes. docs/directory/share-codes.md */
export interface ShareSettings {
  /** Of a share that asks for none. */
  readonly defaultTtlMs: number
  readonly maxTtlMs: number
  readonly maxPayloadBytes: number
  readonly maxFetches: number
  /** Requests of one address; 0 for as many as come. */
  readonly ratePerMinute: number
  readonly rateBurst: number
  /** Links mailed in an hour; 0 for as many as are asked for. */
  readonly mailsPerEmail: number
  readonly mailsPerSource: number
  /** Where clients reach `/v1/share`. */
  readonly publicUrl: string
  /** Whether a share is answered with its link: then nothing is verified by it, and it serves for trying out only. */
  readonly developer: boolean
}

/** As the original has them. */
export const defaultShareSettings: Omit<ShareSettings, 'publicUrl'> = {
  defaultTtlMs: 900_000,
  maxTtlMs: 900_000,
  maxPayloadBytes: 8192,
  maxFetches: 8,
  ratePerMinute: 120,
  rateBurst: 40,
  mailsPerEmail: 5,
  mailsPerSource: 30,
  developer: false,
}
