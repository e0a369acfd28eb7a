/** What a system of the directory is asked. */
export interface Asked {
  /** A route for GET is asked with HEAD too; the answer's body is then dropped. */
  readonly method: string
  /** Who it is counted as: an IPv4 address, or a network of IPv6. */
  readonly source: string
  /** The parts of the path that the pattern of the route names, decoded. */
  readonly params: Readonly<Record<string, string>>
  /** What follows the `?` of the request target, as it came; empty without. */
  readonly query: string
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** As it came; empty where the route takes none. */
  readonly body: Uint8Array
  /**
   * Counts the request as one that writes, where the route counts by itself. What it throws ends the request, and is
   * answered by whoever asks the system.
   */
  readonly countWrite: () => Promise<void>
}

/** A record that is in the log, in the log's words: docs/spec/directory-log.md, section 2. */
export interface LoggedRecord {
  readonly kind: string
  readonly source: string
}

/** Carries the proof that the log has the record which an answer is about: the text of 3.9 there, in base64. */
export const PROOF_HEADER = 'X-Vertex-Log-Proof'

/** What a system of the directory answers. */
export interface Answer {
  /** With 204 there is no type and no body. */
  readonly status: number
  readonly type: string
  /** In parts where it would be too much at once; when these end with an error, so does the connection. */
  readonly body: string | Uint8Array | AsyncIterable<string>
  readonly headers?: Readonly<Record<string, string>>
  /** What it is about, where that is one record of the log. */
  readonly record?: LoggedRecord
  /** For the log: what was wrong, in the system's own stable words. */
  readonly code?: string
}

export interface SystemRoute {
  readonly method: 'get' | 'post'
  /** As Express writes it. */
  readonly path: string
  /** Whether there is a body to read, of whatever type its sender calls it. */
  readonly takesBody: boolean
  /**
   * Whether only the body tells what writes, so that the system counts it. A large body counts in any case, for it costs
   * before anything of it is known.
   */
  readonly countsWrites?: true
  readonly handle: (asked: Asked) => Promise<Answer>
}

/**
 * One published system of the directory, as its own clients know it: its routes, and its own form of an error. It needs
 * no API key. HTTP does what is the same for all of them: reading, counting, logging.
 */
export interface System {
  readonly name: string
  /** Paths that are this system's, with everything below them, beside its routes. */
  readonly paths: readonly string[]
  readonly routes: readonly SystemRoute[]
  /** Whether pages of any origin may read its answers. */
  readonly anyOrigin: boolean
  readonly maxBodyBytes: number
  /** In the form of this system: what is wrong before a route was asked, or with the server. */
  readonly refusal: (status: number, message: string, path: string) => Answer
}
