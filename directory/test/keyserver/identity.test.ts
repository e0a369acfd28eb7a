import { expect, it } from 'vitest'
import { mapIdentity, mapLocalpart, mappedIdentity } from '@vertex/directory/keyserver'

// The cases of the original, uid/identity/identity_test.go, and some more.
it.each([
  ['john.doe@mute.berlin', 'iohn.doe@mute.berlin'],
  ['john.doe@MUTE.BERLIN', 'iohn.doe@mute.berlin'],
  ['max.mustermann@mute.berlin', 'max.mustermann@mute.berlin'],
  [' John-Doe @mute.berlin', 'iohn-doe@mute.berlin'],
  ['john012@mute.berlin', 'iohnol2@mute.berlin'],
  ['Bob1@mute.berlin', 'bobl@mute.berlin'],
])('maps %j to %j', (given, mapped) => {
  expect(mapIdentity(given).text).toBe(mapped)
  expect(mappedIdentity(mapped).text).toBe(mapped)
})

it.each([
  ['john.doe', `does not contain exactly one '@'`],
  ['john.doe@mute@berlin', `does not contain exactly one '@'`],
  ['dj@x', 'minimum length is 3'],
  ['-max@x', `starting with '-'`],
  ['.max@x', `starting with '.'`],
  ['max-@x', `ending with '-'`],
  ['max.@x', `ending with '.'`],
  ['max--mustermann@x', `sequence '--'`],
  ['max-.mustermann@x', `sequence '-.'`],
  ['max.-mustermann@x', `sequence '.-'`],
  ['max..mustermann@x', `sequence '..'`],
  ['max_mustermann@x', 'character is not allowed'],
  ['mäx@x', 'character is not allowed'],
  [`${'a'.repeat(65)}@x`, 'maximum length of localpart is 64'],
  ['.'.repeat(255), 'maximum total length is 254'],
])('refuses %j', (given, why) => {
  expect(() => mapIdentity(given)).toThrow(why)
})

it.each(['john.doe@mute.berlin', 'Alice@mute.berlin', 'alice@Mute.berlin', 'alice'])(
  'does not take %j for a mapped one',
  (given) => {
    expect(() => mappedIdentity(given)).toThrow('not well-formed or not mapped')
  },
)

it('takes names of 3 and of 64 characters', () => {
  expect(mapLocalpart('abc')).toBe('abc')
  expect(mapLocalpart('a'.repeat(64))).toHaveLength(64)
})
