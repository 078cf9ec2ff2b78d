-- wrk by itself repeats its first cookie for ever. A browser does not: it adopts each cookie that it receives.
local cookie, message

local function compose()
    message = wrk.format("GET", wrk.path, { Cookie = cookie })
end

function init(arguments)
    cookie = arguments[1]
    compose()
end

function request()
    return message
end

function response(status, headers)
    local set = headers["Set-Cookie"]
    if set then
        cookie = set:match("^[^;]+")
        compose()
    end
end

dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "counts.lua")
