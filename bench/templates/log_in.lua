-- Logs one user after the other in, from the number that is given, and writes their cookies to a file, one a line.
local number, cookies

function init(arguments)
    number, cookies = tonumber(arguments[1]), assert(io.open(arguments[2], "a"))
end

function request()
    number = number + 1
    return wrk.format("POST", "/login", { ["Content-Type"] = "application/x-www-form-urlencoded" },
        string.format("user=user%07d", number))
end

function response(status, headers)
    local cookie = status == 303 and headers["Set-Cookie"]
    if cookie then cookies:write(cookie:match("^[^;]+"), "\n") end
end
