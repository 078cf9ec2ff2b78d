-- Logs users in, one after the other: user000001, user000002, ...
local number, last = 0, 0

function init(arguments)
    number, last = tonumber(arguments[1]), tonumber(arguments[2])
end

function request()
    number = number + 1
    if number > last then
        wrk.thread:stop()
        number = last  -- those that are on their way when it ends log the last one in again
    end
    return wrk.format("POST", "/login", { ["Content-Type"] = "application/x-www-form-urlencoded" },
        string.format("user=user%07d", number))
end
