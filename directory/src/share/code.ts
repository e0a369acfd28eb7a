// Share codes. docs/spec/share-codes.md, section 5.

const IDS = '0123456789abcdefghijklmnopqrstuvwxyz'
// Of the last twelve the original does not ask what they are.
const CODE = /^[0-9a-z]{2}[\x20-\x7e]{12}$/

/** So many servers can be named in a code. */
export const MOST_SERVERS = IDS.length

/** Which servers a code names: the one that gave it, and where to ask when that one is away. */
export interface Locator {
  readonly primary: number
  readonly secondary: number
}

/** Undefined for a text that is no code. 5.2 */
export function locatorOf(code: string): Locator | undefined {
  if (!CODE.test(code)) return undefined
  return { primary: IDS.indexOf(code[0]!), secondary: IDS.indexOf(code[1]!) }
}

/**
 * 5.1
 * @param digits twelve of them, drawn at random
 */
export function codeOf({ primary, secondary }: Locator, digits: string): string {
  const [first, second] = [IDS[primary], IDS[secondary]]
  if (first === undefined || second === undefined || !/^\d{12}$/.test(digits))
    throw new RangeError('not the parts of a share code')
  return first + second + digits
}

/** Whether a text has the form of a code that a server gives: two servers and twelve digits. */
export const isCode = (text: string): boolean => /^[0-9a-z]{2}\d{12}$/.test(text)
