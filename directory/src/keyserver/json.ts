import { utf8ToBytes } from '@noble/hashes/utils.js'
import { malformed } from './refusal.js'

/*
 * JSON in the one form that is hashed and signed, and readers that take a value apart and put in what was left out.
 * docs/spec/keyserver.md, 2.1 and 2.2
 */

export type Json =
  null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

/** In the bytes that are hashed and signed. 2.1 */
export const canonical = (value: unknown): Uint8Array => utf8ToBytes(canonicalText(value))

/** @param value of nothing but JSON */
export const canonicalText = (value: unknown): string => write(value as Json)

function write(value: Json): string {
  if (value === null || typeof value !== 'object')
    return JSON.stringify(value).replace(
      /[<>&\u2028\u2029]/g,
      (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
  if (Array.isArray(value)) return `[${value.map(write).join(',')}]`
  const members = value as Readonly<Record<string, Json>>
  // All names are ASCII, where the order of JavaScript is that of the bytes.
  const named = Object.keys(members)
    .sort()
    .map((name) => `${write(name)}:${write(members[name]!)}`)
  return `{${named.join(',')}}`
}

/** Reads a value, which is undefined where it was left out. `at` names it for an error. */
export type Read<T> = (value: unknown, at: string) => T

/** @param most bytes of UTF-8 */
export const text =
  (most: number): Read<string> =>
  (value = '', at) => {
    if (typeof value !== 'string') throw malformed(`uid: ${at} must be a string`)
    if (/[\x00-\x1f\p{Surrogate}]/u.test(value) || utf8ToBytes(value).length > most)
      throw malformed(`uid: ${at} has more than ${most} bytes, or control characters`)
    return value
  }

export const count: Read<number> = (value = 0, at) => {
  if (
    typeof value !== 'number' ||
    !Number.isSafeInteger(value) ||
    value < 0 ||
    Object.is(value, -0)
  )
    throw malformed(`uid: ${at} must be a whole number, 0 to 2^53 - 1`)
  return value
}

export const flag: Read<boolean> = (value = false, at) => {
  if (typeof value !== 'boolean') throw malformed(`uid: ${at} must be true or false`)
  return value
}

/** `null` where there is none. */
export const orNull =
  <T>(read: Read<T>): Read<T | null> =>
  (value, at) =>
    value === undefined || value === null ? null : read(value, at)

/** A list, or one of none where there is none. */
export const list =
  <T>(read: Read<T>, most: number): Read<readonly T[]> =>
  (value, at) => {
    if (value === undefined || value === null) return []
    if (!Array.isArray(value) || value.length > most)
      throw malformed(`uid: ${at} must be a list of at most ${most}`)
    return value.map((each, i) => read(each, `${at}[${i}]`))
  }

type Readers<T> = { readonly [Name in keyof T]: Read<T[Name]> }

/** An object of these members and no others. */
export const object =
  <T extends object>(members: Readers<T>): Read<T> =>
  (value, at) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw malformed(`uid: ${at} must be an object`)
    const given = value as Readonly<Record<string, unknown>>
    if (!Object.keys(given).every((name) => Object.hasOwn(members, name)))
      throw malformed(`uid: ${at} has a member that is not known`)
    const names = Object.keys(members) as (keyof T & string)[]
    return Object.fromEntries(
      names.map((name) => {
        const member = Object.hasOwn(given, name) ? given[name] : undefined
        return [name, members[name](member, `${at}.${name}`)]
      }),
    ) as T
  }
