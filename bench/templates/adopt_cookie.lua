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

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format('{"requests": %d, "seconds": %.6f, "refused": %d, "broken": %d, "p50_us": %d, "p99_us": %d}\n',
        summary.requests, summary.duration / 1e6, errors.status,
        errors.connect + errors.read + errors.write + errors.timeout,
        latency:percentile(50), latency:percentile(99)))
end
