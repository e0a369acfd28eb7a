// What the kernel offers. Every function works on memory that the caller has laid out; none keeps a secret in its own.
export { arenaStart, scratchStart } from './memory'

// symmetric-functions.ts
export { hash, hashRows } from './hash'
export { transposeBits } from './transpose'
export { positions, foldRow, foldColumns } from './fold'
export { receiverRows, senderRows } from './extension'
export {
  maskInputs,
  pads,
  receiverSums,
  reduceScalars,
  selectedSum,
  senderEta,
  senderSums,
} from './vole'
export { foldWidePair, fourToBytes, fourWide, subtractAddPair } from './lanes'

// curve-functions.ts
export { addMany, decodePoint } from './point'
export { baseTableRoom, multiplyBase, multiplyMany, multiplyOne, tableRoom } from './multiply'
export { hashToCurve, mapToCurve } from './hash-to-curve'
export { add as fieldAdd, invert as fieldInvert, isZero as fieldIsZero, negate as fieldNegate, normalize as fieldNormalize, root as fieldRoot, small as fieldSmall, sub as fieldSub, times21 as fieldTimes21 } from './field-p'
export { mul as fieldMul, mulAdd as fieldMulAdd, sqr as fieldSqr } from './field-p-product'
