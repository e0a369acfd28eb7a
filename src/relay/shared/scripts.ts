import { script } from '../../redis/index.js'

/*
 * A room in Redis is a hash and a list, whose names share a hash tag so that a cluster keeps them together. Each script
 * is one step of the room, done whole or not at all, and everything has its expiry from the start.
 *
 * KEYS[1], a hash: s size, j how many joined, l how many left, n entries ever written, b of these no longer in the list,
 *   y bytes of those that are, x when the room expires, e the reason it ended with, h the replica that opened it,
 *   r the replicas in it, "j:<id>" the slot that a joining got, 0 for one that is not to be any more, "-<slot>" for each
 *   that left, "!<slot>" for each that sent too much and says nothing more.
 * KEYS[2], the log. While somebody may still come it has every entry; afterwards the newest ones, for replicas that
 *   missed something.
 *
 * Every replica of the room but the one that writes is sent each entry: 16 bytes of the room's name, the number of the
 * entry in 4, the entry. The one that opened it is sent the name alone once all have joined, or nobody can any more.
 */

const common = `
local room, log = KEYS[1], KEYS[2]
local TOMB_MS = 60000

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local f = {}
local function ended()
  local names = {'s', 'j', 'l', 'n', 'b', 'y', 'x', 'e', 'h', 'r'}
  local values = redis.call('HMGET', room, unpack(names))
  if not values[1] then return 'room_unknown' end
  for i, name in ipairs(names) do f[name] = values[i] end
  for i, name in ipairs({'s', 'j', 'l', 'n', 'b', 'y', 'x'}) do f[name] = tonumber(f[name]) end
  if f.e ~= '' then return f.e end
  if now() >= f.x then return f.j < f.s and 'room_expired' or 'room_used' end
  return nil
end

local function tell(replica, text)
  redis.call('PUBLISH', 'vertex:replica:' .. replica, text)
end

local function append(from, entry)
  f.n = redis.call('HINCRBY', room, 'n', 1)
  f.y = redis.call('HINCRBY', room, 'y', #entry + 512)
  redis.call('RPUSH', log, entry)
  if f.n - f.b == 1 then redis.call('PEXPIREAT', log, string.format('%.0f', f.x)) end
  local text = ARGV[1] .. struct.pack('>I4', f.n) .. entry
  for at = 1, #f.r, 32 do
    local replica = string.sub(f.r, at, at + 31)
    if replica ~= from then tell(replica, text) end
  end
end

-- Nobody waits for this room any more: whoever opened it need not count it.
local function tell_used()
  tell(f.h, ARGV[1])
end

-- A party that was lost may have had more to say, so nobody waits for it in vain: its room ends.
local function leave(id, slot, why)
  if redis.call('HSETNX', room, '-' .. slot, 1) == 0 then return end
  local left = redis.call('HINCRBY', room, 'l', 1)
  append('', id .. string.char(3, slot, why))
  if f.j < f.s or f.j - left <= 1 or why == 1 then
    append('', id .. string.char(4, 0))
    redis.call('HSET', room, 'e', 'room_used')
    redis.call('DEL', log)
    redis.call('PEXPIRE', room, TOMB_MS)
    tell_used()
  end
end
`

/** ARGV: the room's 16 bytes, size, lifetime in ms, replica. */
export const CREATE = script(`${common}
if redis.call('EXISTS', room) == 1 then return redis.error_reply('ROOM exists') end
local expires = now() + tonumber(ARGV[3])
redis.call('HSET', room, 's', ARGV[2], 'j', 0, 'l', 0, 'n', 0, 'b', 0, 'y', 0,
  'x', string.format('%.0f', expires), 'e', '', 'h', ARGV[4], 'r', '')
redis.call('PEXPIREAT', room, string.format('%.0f', expires + TOMB_MS))
return 1
`)

/**
 * ARGV: the room's 16 bytes, replica, id, label. Answers slot, size, ms to live and the whole log; or why not. The same
 * id gets the same slot again: whoever asked may not have heard the answer.
 */
export const JOIN = script(`${common}
local reason = ended()
if reason then return reason end
local before = tonumber(redis.call('HMGET', room, 'j:' .. ARGV[3])[1])
if before then
  if before == 0 or redis.call('HEXISTS', room, '-' .. before) == 1 then return 'room_used' end
  if f.b > 0 then return 'lost' end
  return {before, f.s, f.x - now(), redis.call('LRANGE', log, 0, -1)}
end
if f.j >= f.s then return 'room_full' end
local replica = ARGV[2]
local slot = redis.call('HINCRBY', room, 'j', 1)
redis.call('HSET', room, 'j:' .. ARGV[3], slot)
f.j = slot
local known = false
for at = 1, #f.r, 32 do
  if string.sub(f.r, at, at + 31) == replica then known = true end
end
if not known then
  f.r = f.r .. replica
  redis.call('HSET', room, 'r', f.r)
end
append(replica, ARGV[3] .. string.char(1, slot) .. replica .. ARGV[4])
if slot == f.s then tell_used() end
return {slot, f.s, f.x - now(), redis.call('LRANGE', log, 0, -1)}
`)

/** ARGV: the room's 16 bytes, replica, id, from, to, message, bytes that the log may have. Answers the entry's number, or why not. */
export const SEND = script(`${common}
local reason = ended()
if reason then return reason end
local from, to, limit = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[7])
if redis.call('HEXISTS', room, '-' .. from) == 1 then return 'left' end
if redis.call('HEXISTS', room, '!' .. from) == 1 then return 'left' end
local entry = ARGV[3] .. string.char(2, from, to) .. ARGV[6]
if f.j < f.s and f.y + #entry + 512 > limit then
  redis.call('HSET', room, '!' .. from, 1)
  return 'buffer_full'
end
append(ARGV[2], entry)
while f.j == f.s and f.y > limit do
  local oldest = redis.call('LPOP', log)
  f.y = redis.call('HINCRBY', room, 'y', -(#oldest + 512))
  redis.call('HINCRBY', room, 'b', 1)
end
return f.n
`)

/**
 * ARGV: the room's 16 bytes, id, slot or "j:" and the id of a joining, why: 0 by itself, 1 lost. Told to every replica,
 * the one that asks too. A joining that has not been is not to be any more. Done in a Redis that is full, too: the
 * others must not wait, and an end makes room.
 */
export const LEAVE = script(`#!lua flags=allow-oom${common}
if ended() then return 0 end
local slot = tonumber(ARGV[3])
if not slot then
  redis.call('HSETNX', room, ARGV[3], 0)
  slot = tonumber(redis.call('HMGET', room, ARGV[3])[1])
  if slot == 0 then return 0 end
end
leave(ARGV[2], slot, tonumber(ARGV[4]))
return 1
`)

/** ARGV: the room's 16 bytes, how many entries are known. Answers the later ones, or why that is not possible. */
export const CATCH_UP = script(`${common}
local reason = ended()
if reason then return reason end
local known = tonumber(ARGV[2])
if known < f.b or known > f.n then return 'lost' end
return redis.call('LRANGE', log, known - f.b, -1)
`)

export const roomScripts = [CREATE, JOIN, SEND, LEAVE, CATCH_UP]
