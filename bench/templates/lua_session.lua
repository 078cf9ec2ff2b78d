-- Sessions in Redis the short way, as they are often written for nginx: GET and TTL of the session, then SETEX under a
-- new id, on every request. What rotagate does beyond that, it leaves out: the cookie is not sealed, an old id stays good
-- until its TTL ends, no replay is noticed, and nobody can list or end a user's sessions.
local session, redis_port, TTL = {}, nil, 3600
local randomness = assert(io.open("/dev/urandom", "rb"))

local function new_id()
    return (ngx.encode_base64(randomness:read(32), true):gsub("[+/]", { ["+"] = "-", ["/"] = "_" }))
end

local function command(...)
    local parts = { "*" .. select("#", ...) .. "\r\n" }
    for _, part in ipairs({ ... }) do
        part = tostring(part)
        parts[#parts + 1] = "$" .. #part .. "\r\n" .. part .. "\r\n"
    end
    return table.concat(parts)
end

local function reply(socket)
    local line = assert(socket:receive("*l"))
    local kind, rest = line:sub(1, 1), line:sub(2)
    if kind == ":" then return tonumber(rest) end
    if kind == "$" then return rest ~= "-1" and assert(socket:receive(tonumber(rest) + 2)):sub(1, -3) or nil end
    assert(kind == "+", line)
    return rest
end

-- Sends the commands together, and returns the answer to each.
local function ask(...)
    local socket, answers = ngx.socket.tcp(), {}
    assert(socket:connect("127.0.0.1", redis_port))
    assert(socket:send(table.concat({ ... })))
    for i = 1, select("#", ...) do answers[i] = reply(socket) end
    assert(socket:setkeepalive(60000, 8192))
    return unpack(answers, 1, select("#", ...))
end

local function hand_out(user, ttl)
    local id = new_id()
    ask(command("SETEX", "session:" .. id, ttl, user))
    ngx.header["Set-Cookie"] = "__Host-session=" .. id .. "; Path=/; Secure; HttpOnly; SameSite=Lax"
end

function session.connect_to(port) redis_port = port end

function session.log_in()
    ngx.req.read_body()
    hand_out(ngx.req.get_post_args().user, TTL)
    ngx.header["Location"] = "/"
    ngx.exit(303)
end

function session.check()
    local id = ngx.var["cookie___Host-session"]
    if not id then ngx.exit(401) end
    local user, ttl = ask(command("GET", "session:" .. id), command("TTL", "session:" .. id))
    if not user then ngx.exit(401) end
    ngx.req.set_header("X-User-Id", user)
    hand_out(user, math.max(ttl, 1))
end

return session
