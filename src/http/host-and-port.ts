import { isIP } from 'node:net'

const hostName = '[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?'
const pattern = new RegExp(`^(${hostName}|\\[[0-9A-Fa-f:.]{2,45}\\]):([0-9]{1,5})$`)

/** The parts of `host:port`, the host in lower case; undefined when it is not one. */
export function hostAndPort(text: string): { host: string; port: number } | undefined {
  const match = pattern.exec(text)
  const [, host, port] = match ?? []
  if (host === undefined || port === undefined) return undefined
  const number = Number(port)
  return number >= 1 && number <= 65535 ? { host: host.toLowerCase(), port: number } : undefined
}

/** Whether this is an address, or a range of them such as 10.0.0.0/8. */
export function isAddressRange(value: string): boolean {
  const [address = '', bits, ...rest] = value.split('/')
  const version = isIP(address)
  if (version === 0 || rest.length > 0) return false
  return (
    bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
  )
}
