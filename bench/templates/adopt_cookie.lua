-- wrk by itself repeats its first cookie for ever. A browser does not: it adopts each cookie that it receives.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "counts.lua")
local answered, cookie, message

local function compose()
    message = wrk.format("GET", wrk.path, { Cookie = cookie })
end

function init(arguments)
    answered, cookie = counter(arguments[1]), arguments[2]
    compose()
end

function request()
    return message
end

function response(status, headers)
    answered[0] = answered[0] + 1
    local set = headers["Set-Cookie"]
    if set then
        cookie = set:match("^[^;]+")
        compose()
    end
end
