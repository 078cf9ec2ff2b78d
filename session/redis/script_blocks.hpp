#pragma once

#include <string_view>

/// The Lua of scripts.cpp.
namespace rotagate::session::redis::lua {

// A session's `state` is eight numbers: when it was created (milliseconds since 1970), whether it is permanent, and, in
// milliseconds since its creation, when it expires, and its rotation: seen (mint time, at), mark (mint time, at),
// floor. Small numbers, since most sessions are young; and text, so that an operator can read it.
// Scripts are put together from blocks of statements: a function in Lua is made anew at every call of the script.
inline constexpr std::string_view declare_state = R"(
local created, permanent, expires, seen, seen_at, mark, mark_at, floor
)";
// Takes `stored` apart. Without `created`, it is nothing that a gateway of this version has written.
inline constexpr std::string_view read_stored = R"(
created, permanent, expires, seen, seen_at, mark, mark_at, floor =
    string.match(stored, '^(%d+) (%d) (%d+) (-?%d+) (-?%d+) (-?%d+) (-?%d+) (-?%d+)$')
if created then
    created, expires, seen, seen_at = created + 0, expires + 0, seen + 0, seen_at + 0
    mark, mark_at, floor = mark + 0, mark_at + 0, floor + 0
end
)";
// What scripts begin with that are about one session. Where it is not there, its mark tells more: "replay", or until
// when a login is known to have ended it. GETEX without a change counts as a write: a replica that is taken for a
// master refuses it, so that what it has not heard of yet is not taken for ended.
inline constexpr std::string_view if_stored = R"(
if not stored then return {0, now, redis.call('GETEX', 'x:' .. string.sub(KEYS[1], 3))} end
<read_stored>
if not created then return {0, now} end
)";
inline constexpr std::string_view write_state = R"(
stored = created .. ' ' .. permanent .. ' ' .. expires .. ' ' .. seen .. ' ' .. seen_at .. ' ' .. mark .. ' ' ..
    mark_at .. ' ' .. floor
redis.call('HSET', KEYS[1], 'state', stored)
)";

// The same for a session that is there. A server whose memory is full refuses what may take more of it, unless the
// script has written before: setting the expiry is never refused, and the new state is no longer than the old.
inline constexpr std::string_view rewrite_state = R"(
redis.call('PEXPIREAT', KEYS[1], created + expires)
<write_state>
)";

// Applies the rule of session/rotation.cpp to the mint time in ARGV. Leaves whether it is a replay, and whether there
// is something to keep.
inline constexpr std::string_view rotate = R"(
local m, n = ARGV[1] - created, math.max(now - created, 0)  -- its clock may have gone back
local replay, changed = false, false
local mark_is_due = n - mark_at >= GRACE
if n - seen_at >= GRACE and seen - GRACE > floor then floor = seen - GRACE end
if mark_is_due and mark - GRACE > floor then floor = mark - GRACE end
if m < floor then
    replay = true
elseif m > seen and m - seen >= GRACE / 10 then
    if mark_is_due then
        if seen > mark then mark, mark_at = seen, seen_at else mark, mark_at = m, n end
    end
    seen, seen_at, changed = m, n, true
end
)";

// Renews the idle timeout, n after the session's creation. Leaves whether there is something to keep.
inline constexpr std::string_view renew = R"(
    local renewal = n + (permanent == '1' and PERMANENT or IDLE)
    if ABSOLUTE > 0 and renewal > ABSOLUTE then renewal = ABSOLUTE end
    local step = permanent == '1' and PERMANENT_STEP or IDLE_STEP
    if renewal == ABSOLUTE then step = 1 end  -- the last one, which tells how the session will end
    if renewal - expires >= step then
        expires, renewed = renewal, true
    end
)";

// KEYS: the session. ARGV: the mint time, and 1 to renew.
// Returns {0, now, mark}: it is not there; {2, now}: replay, and it is gone now; else {1, or 3: a replay that is
// reported only; now, the state as it is now, data where that is wanted}.
inline constexpr std::string_view present_body = R"(
if expires <= now - created then return {0, now} end
<rotate>
if replay and not REPORT then
    redis.call('DEL', KEYS[1])
    -- For this call, should its answer be lost and it come again. No harm if it cannot be kept: its slot may be moving.
    redis.pcall('SET', 'x:' .. string.sub(KEYS[1], 3), 'replay', 'PX', 2 * GRACE)
    return {2, now}
end
local renewed = false
if ARGV[2] == '1' then
<renew>
end
if changed or renewed then <rewrite_state> end
return {replay and 3 or 1, now, stored, data}
)";

// KEYS: the session. ARGV: the mint time that is about to be issued. Returns {whether it is there, now, when it
// expires}.
inline constexpr std::string_view issue_body = R"(
if expires <= now - created then return {0, now} end
<rotate>
if changed then <rewrite_state> end
return {1, now, created + expires}
)";

// KEYS: the session. ARGV: 1 to renew. Returns {whether it is there, now, when it expires}.
inline constexpr std::string_view touch_body = R"(
if expires <= now - created then return {0, now} end
local n, renewed = math.max(now - created, 0), false
if ARGV[1] == '1' then
<renew>
end
if renewed then <rewrite_state> end
return {1, now, created + expires}
)";

// KEYS: the session. ARGV: the data. Returns {whether it is there, now}.
inline constexpr std::string_view replace_data_body = R"(
if expires <= now - created then return {0, now} end
redis.call('HSET', KEYS[1], 'data', ARGV[1])
return {1, now}
)";

// The index of a slot is three keys: i, its sessions in the order of their ids, so that a user is a range of it; d, the
// same by the time at which each may have expired; n, the number of users by organization.
// It looks before it takes anything out: a key that is empty is gone, and may not be asked for while its slot moves.
inline constexpr std::string_view unlist_function = R"(
local function unlist(i, d, n, id)
    local user, org = string.match(id, '^({([^/]*)/?[^}]*}).')
    if not user then return redis.call('ZREM', d, id), redis.call('ZREM', i, id) end  -- somebody else's
    local known = #redis.call('ZRANGEBYLEX', i, '[' .. user .. '.', '(' .. user .. '/', 'LIMIT', 0, 2)
    redis.call('ZREM', d, id)
    if redis.call('ZREM', i, id) == 0 or known > 1 then return end
    if not string.find(user, '/', 1, true) then org = '' end
    if redis.call('HINCRBY', n, org, -1) <= 0 then redis.call('HDEL', n, org) end
end
local function tell(ids)
    if #ids > 0 then redis.pcall('PUBLISH', 'rotagate:ended', table.concat(ids, ' ')) end
end
)";

// Takes out of the index what has expired; an entry that comes up and was renewed meanwhile is filed again: by a ZREM
// ahead of the ZADD, which a server whose memory is full refuses unless the script has written before. Returns what it
// took out, "i" or "a" for idle or absolute, and the id; and whether more may be due.
inline constexpr std::string_view prune_function = R"(
local function prune(i, d, n)
    local gone = {}
    local ids = redis.call('ZRANGEBYSCORE', d, '-inf', now, 'LIMIT', 0, 100)
    for _, id in ipairs(ids) do
        local due = redis.call('ZSCORE', d, id)
        local stored = redis.call('HGET', 's:' .. id, 'state')
        if stored then <read_stored> end
        if stored and created and expires > now - created then
            local capped = ABSOLUTE > 0 and expires >= ABSOLUTE
            redis.call('ZREM', d, id)
            redis.call('ZADD', d, created + expires + (capped and 0.5 or 0), id)
        else
            if stored then redis.call('DEL', 's:' .. id) end
            unlist(i, d, n, id)
            gone[#gone + 1] = (due % 1 > 0 and 'a' or 'i') .. id
        end
    end
    return gone, #ids == 100
end
)";

// KEYS: the session, i, d, n; where another is replaced that is in reach: that session, its i, d, n, and its mark.
// ARGV: the id, 1 for permanent, the client's address, 1 where there is data, the data, the limit per user, the
// replaced id. Returns {now, expires, whether the other was there, ids that had to make room...}.
inline constexpr std::string_view start_body = R"(
local id = ARGV[1]
local user, org = string.match(id, '^({([^/]*)/?[^}]*}).')
if not string.find(user, '/', 1, true) then org = '' end
local i, d, n = KEYS[2], KEYS[3], KEYS[4]
local others = {}
local limit = ARGV[6] + 0
if redis.call('EXISTS', KEYS[1]) == 0 then
    local from, to = '[' .. user .. '.', '(' .. user .. '/'
    if limit > 0 then
        for _, other in ipairs(redis.call('ZRANGEBYLEX', i, from, to)) do
            local stored = other ~= ARGV[7] and redis.call('HGET', 's:' .. other, 'state')
            if stored then
                <read_stored>
                if created and expires > now - created then others[#others + 1] = {other, created} end
            end
        end
        table.sort(others, function(a, b) return a[2] < b[2] end)
    end
    local known = #redis.call('ZRANGEBYLEX', i, from, to, 'LIMIT', 0, 1) > 0
    permanent = ARGV[2]
    expires = permanent == '1' and PERMANENT or IDLE
    local capped = ABSOLUTE > 0 and expires >= ABSOLUTE
    if capped then expires = ABSOLUTE end
    created, seen, seen_at, mark, mark_at = now, 0, 0, 0, 0
    floor = -86400000  -- a day before: nothing is superseded yet, however the clocks may differ
    local stored
    <write_state>
    redis.call('HSET', KEYS[1], 'client', ARGV[3])
    if ARGV[4] == '1' then redis.call('HSET', KEYS[1], 'data', ARGV[5]) end
    redis.call('PEXPIREAT', KEYS[1], created + expires)
    redis.call('ZADD', i, 0, id)
    redis.call('ZADD', d, created + expires + (capped and 0.5 or 0), id)
    if not known then redis.call('HINCRBY', n, org, 1) end
else
    local stored = redis.call('HGET', KEYS[1], 'state')  -- this call comes again: its answer was lost
    <read_stored>
end
local result, ended = {now, created, created + expires, 0}, {}
if KEYS[5] then
    result[4] = redis.call('DEL', KEYS[5])
    unlist(KEYS[6], KEYS[7], KEYS[8], ARGV[7])
    redis.call('SET', KEYS[9], now + 2 * GRACE, 'PX', 2 * GRACE)
    ended[1] = ARGV[7]
end
for rank = 1, limit > 0 and #others + 1 - limit or 0 do
    redis.call('DEL', 's:' .. others[rank][1])
    unlist(i, d, n, others[rank][1])
    ended[#ended + 1] = others[rank][1]
    result[#result + 1] = others[rank][1]
end
tell(ended)
return result
)";

// KEYS: the session, i, d, n; with a fifth, its mark. ARGV: the id; for the mark, 1 to say that a login has replaced
// the session, or 0 to remove what it says. Returns {now, whether it was there}.
inline constexpr std::string_view end_body = R"(
local stored = redis.call('HGET', KEYS[1], 'state')
local there = 0
if stored then
    <read_stored>
    if created and expires > now - created then there = 1 end
    redis.call('DEL', KEYS[1])
end
unlist(KEYS[2], KEYS[3], KEYS[4], ARGV[1])
if ARGV[2] == '1' then
    redis.call('SET', KEYS[5], now + 2 * GRACE, 'PX', 2 * GRACE)
elseif ARGV[2] then
    redis.call('DEL', KEYS[5])
end
tell({ARGV[1]})
return {now, there}
)";

// KEYS: i, d, n. Returns {now, {what has expired...}, {organization, users, ...}, 1 where the counts are not exact yet,
// since more may be due: it has to be called again}.
inline constexpr std::string_view prune_body = R"(
local gone, more = prune(KEYS[1], KEYS[2], KEYS[3])
return {now, gone, more and {} or redis.call('HGETALL', KEYS[3]), more and 1 or 0}
)";

// KEYS: i, d, n. ARGV: the range of ids, from and to; how many at most; 1 to pass over those with an organization.
// Returns {now, {what has expired...}, the last id that was looked at where more may follow, or '', {id, state, client,
// ...}}.
inline constexpr std::string_view list_body = R"(
local gone = prune(KEYS[1], KEYS[2], KEYS[3])
local found, last = {}, ''
local ids = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
if #ids == ARGV[3] + 0 then last = ids[#ids] end
for _, id in ipairs(ids) do
    if ARGV[4] ~= '1' or not string.find(id, '/', 1, true) then
        local session = redis.call('HMGET', 's:' .. id, 'state', 'client')
        if session[1] then
            found[#found + 1] = id
            found[#found + 1] = session[1]
            found[#found + 1] = session[2] or ''
        end
    end
end
return {now, gone, last, found}
)";

// KEYS and ARGV: as of `list`. Returns {now, {what has expired...}, the last id that was looked at where more may
// follow, or '', {id, ...}}.
inline constexpr std::string_view end_range_body = R"(
local gone = prune(KEYS[1], KEYS[2], KEYS[3])
local ended, last = {}, ''
local ids = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
if #ids == ARGV[3] + 0 then last = ids[#ids] end
for _, id in ipairs(ids) do
    if ARGV[4] ~= '1' or not string.find(id, '/', 1, true) then
        if redis.call('DEL', 's:' .. id) == 1 then ended[#ended + 1] = id end
        unlist(KEYS[1], KEYS[2], KEYS[3], id)
    end
end
tell(ended)
return {now, gone, last, ended}
)";

}  // namespace rotagate::session::redis::lua
