import { expect, it } from 'vitest'
import { networkOf } from '../src/network.js'

it.each([
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['::FFFF:c000:0207', '192.0.2.7'],
  ['0:0:0:0:0:ffff:192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:0DB8:0001:0002:ffff:ffff:ffff:ffff', '2001:db8:1:2::/64'],
  ['2001:db8:1:3::', '2001:db8:1:3::/64'],
  ['2001:db8::5', '2001:db8:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  // Not mapped: what only looks like it.
  ['::ffff:0:192.0.2.7', '0:0:0:0::/64'],
  ['1::ffff:192.0.2.7', '1:0:0:0::/64'],
  ['unknown', 'unknown'],
  ['192.0.2.7:443', '192.0.2.7:443'],
  ['2001:db8::5]', '2001:db8::5]'],
  ['', ''],
])('counts %s as %s', (address, network) => {
  expect(networkOf(address)).toBe(network)
})
