/** A key as WebCrypto hands it out, of which nothing is read here. Neither Node's types nor a browser's are taken in. */
interface CryptoKey {
  readonly type: string
}
