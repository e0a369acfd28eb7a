/** The part of WebAssembly that the kernel needs: part of every engine, but not of TypeScript's ES library. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: unknown }
}
