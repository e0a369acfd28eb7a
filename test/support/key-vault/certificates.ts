import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'

/** A certificate authority that lives as long as one test, and a server certificate of it. All as PEM. */
export interface Certificates {
  readonly authority: string
  readonly certificate: string
  readonly key: string
}

/** @param hosts host names, with a wildcard where wanted */
export function makeCertificates(hosts: readonly string[]): Certificates {
  const ca = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const server = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const caName = name('Key vault stand-in authority')
  return {
    authority: certificate({
      issuer: caName,
      subject: caName,
      publicKey: ca.publicKey,
      signer: ca.privateKey,
      extensions: [
        extension('551d13', true, sequence(Buffer.from('0101ff', 'hex'))), // basicConstraints: CA
        extension('551d0f', true, Buffer.from('03020106', 'hex')), // keyUsage: certificates, CRLs
      ],
    }),
    certificate: certificate({
      issuer: caName,
      subject: name('Key vault stand-in'),
      publicKey: server.publicKey,
      signer: ca.privateKey,
      extensions: [
        extension(
          '551d11', // subjectAltName: dNSName
          false,
          sequence(...hosts.map((host) => tlv(0x82, Buffer.from(host, 'ascii')))),
        ),
      ],
    }),
    key: server.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

interface Contents {
  readonly issuer: Buffer
  readonly subject: Buffer
  readonly publicKey: KeyObject
  readonly signer: KeyObject
  readonly extensions: readonly Buffer[]
}

const DAY_MS = 86_400_000
const ECDSA_WITH_SHA256 = '2a8648ce3d040302'

/** RFC 5280, the few fields that a TLS client looks at. */
function certificate(contents: Contents): string {
  const algorithm = sequence(oid(ECDSA_WITH_SHA256))
  const serial = Buffer.concat([Buffer.from([0x01]), randomBytes(8)])
  const toBeSigned = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, serial),
    algorithm,
    contents.issuer,
    sequence(time(Date.now() - DAY_MS), time(Date.now() + DAY_MS)),
    contents.subject,
    contents.publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(...contents.extensions)),
  )
  const signature = sign('sha256', toBeSigned, contents.signer)
  const der = sequence(toBeSigned, algorithm, tlv(0x03, Buffer.concat([Buffer.of(0), signature])))
  const lines = der
    .toString('base64')
    .match(/.{1,64}/g)!
    .join('\n')
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`
}

function name(commonName: string): Buffer {
  const value = tlv(0x0c, Buffer.from(commonName, 'utf8'))
  return sequence(tlv(0x31, sequence(oid('550403'), value)))
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(oid(id), ...(critical ? [Buffer.from('0101ff', 'hex')] : []), tlv(0x04, value))
}

function time(at: number): Buffer {
  const digits = new Date(at).toISOString().replace(/[-:T]/g, '').slice(2, 14)
  return tlv(0x17, Buffer.from(`${digits}Z`, 'ascii'))
}

function oid(hex: string): Buffer {
  return tlv(0x06, Buffer.from(hex, 'hex'))
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tlv(0x30, Buffer.concat(parts))
}

function tlv(tag: number, content: Buffer): Buffer {
  const { length } = content
  const head =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : [tag, 0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from(head), content])
}
