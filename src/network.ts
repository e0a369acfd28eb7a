import { isIPv6 } from 'node:net'

/**
 * What is counted as one source of requests: an IPv4 address, or the network of 64 bits that whoever has one IPv6
 * address has all of. What is no address stays what it is.
 */
export function networkOf(address: string): string {
  const plain = address.replace(/%.*$/, '')
  if (!isIPv6(plain)) return address
  const groups = groupsOf(plain)
  if (groups.slice(0, 6).join(':') === '0:0:0:0:0:ffff') return lastFour(groups)
  return `${groups.slice(0, 4).join(':')}::/64`
}

/** The eight groups of an IPv6 address, as a URL writes them: lower case, without zeros in front. */
function groupsOf(address: string): string[] {
  const [front, back] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const [before, after] = [front, back].map((part) => (part ? part.split(':') : []))
  return [...before!, ...Array<string>(8 - before!.length - after!.length).fill('0'), ...after!]
}

/** The IPv4 address that an IPv4-mapped one ends with. */
const lastFour = (groups: readonly string[]): string =>
  groups
    .slice(6)
    .flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 255])
    .join('.')
