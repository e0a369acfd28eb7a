// Runs a program of dist/ on a machine whose resolver knows the host names of VERTEX_TEST_HOSTS as this machine.
// Nothing of the program is changed.
import dns from 'node:dns'

const known = (process.env.VERTEX_TEST_HOSTS ?? '').split(',')
const { lookup } = dns
dns.lookup = (host, ...rest) => lookup(known.includes(host) ? '127.0.0.1' : host, ...rest)

await import(new URL(`../../dist/${process.env.VERTEX_TEST_PROGRAM}`, import.meta.url).href)
