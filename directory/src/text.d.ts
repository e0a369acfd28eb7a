/** What every engine has of the Encoding Standard, and this code uses. Neither Node's types nor a browser's are taken in. */
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean })
  decode(input?: Uint8Array): string
}
