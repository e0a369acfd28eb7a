/*
 * Published by the original, mutecomm/mute (BSD-3-Clause), at commit 8121965e6779441e0d83339ef41182d792f4d967.
 */

/** keydb/keydb_test.go. They are linked as the document says, and are of TYPE 0x02, which is not taken. */
export const chainOfFour = [
  'fL50mQtsX4/YSme3gheDTwDrvCYMYhn6A7C0nD101KAC9PP4h6aT9PgvWYD4kNkJI2nV8WThXG11Rd4Lc6uhVMOKDBBeP3140//ovQ0xALyZqlSB3Elfh1drb/CuFPFpxpkiZn12VgsY+da7o8TG0moycB66vBqwNsghTak87La6PY9MX7lPHfcdVSlFZPH3fJyxzh3060dK',
  '5u+0soN4VL5eozvRFDefcvmnSXgYmqSurB/UNsFf0HMCWdSBJxuuVzGefoKFXhgaae5FBE8lVOyQYc6WQnl1nXTN0MWfWixRloS0kkikyr+MlLdN9WHUWDAxHriJg+NrnpB/s9LGeCO0J+PMhd+pG8dpVW42o0WZJxHjisP+nm26ixzYOmPxe3AhhspfK8IPbIUndhLp7rJy',
  '4iUBVqUhQ4ZeB8drUjv6jQOXKg+ovqGKu9YZcXr2UbECEKedm1TmVFrVaQYDZL5XYOADFV8zXO7pjwM5bcK18l7A0eoiOw6bE15uzWJvqJJpAcBRx0cL3sSJUXWYivCgav0Yrm/+eczsgyvtBgXzD6bICo/6jb1SDc5a6uN3hM95/SnSkMoJFnfWX1AMc6V3djC0UVqXGZHa',
  'KHJl0l19O4GOBEuMlLox434VAwuvub2SG/QcLN2CYjkC8u+XLklLCiGO8NkwbXTxuaPLd20gMyPYZMPEUFREHMTFZcwxyvAlJpZZSzXxdKEwMgiQnWmSxAQXgbhLymPMh3LCeHUIV9N6R0YxmE52xdwZCuCK5V7Vh+tkqEMMiI+Bw6kvbAfWs2BitVWfPzV60mru2iuznDfB',
]

/** keyserver/hashchain/hashchain.go: of TYPE 0x01; the entry before it is not published. */
export const testEntry =
  'PxIx7lxwcKB3vmPLGzqm3alBCBkHbD89qRBWs7+N8yMB6QEQSe7yf4BrMISdYWeF/Ycm7tKzb6q8LZgdjtTHHAFSkuD/Q3aUITVhT19g5WKwEZ1TlMH0n7ymEEVVhW/PtEDOO/uMoEOKTTvwQp6QA2NE1GYYqhzBtQNHawFtw5NUnupGnDV+QqpJrSUoe/vkXnWZfDiY9Q1W'

/** cipher/ckdf_test.go */
export const ckdfOfZeros = {
  k1: 'c636aaedf55022224b6785e329453a561c66e52add44fb36a0327c67ecb33ac8cf552223d041f964795d7987fe8beb09bb2aa103d148ad98b7eb0c9f87d49b8c',
  k2: '9f6d3daa0612e82585ea90080355ef083cc16809abe0d0303882cac55c587dcb8088a422c6daf4037225c400c3261ea914526a0f679a6fd7997241691eef2bfc',
}
