/** As much of WebCrypto as is used here. Neither Node's types nor a browser's are taken in. */
declare const crypto: {
  readonly subtle: {
    importKey(
      format: 'spki',
      data: Uint8Array,
      algorithm: { readonly name: 'RSA-PSS'; readonly hash: 'SHA-384' },
      extractable: boolean,
      uses: readonly ['verify'],
    ): Promise<CryptoKey>
  }
}
