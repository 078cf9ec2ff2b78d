-- Each request is of one of many sessions, drawn by lot. The cookies come from a file, one a line. They are presented as
-- they are again and again: nobody presents a newer one, so they stay good.
local messages = {}

function init(arguments)
    for cookie in io.lines(arguments[1]) do
        messages[#messages + 1] = wrk.format("GET", wrk.path, { Cookie = cookie })
    end
    math.randomseed(1)
end

function request()
    return messages[math.random(#messages)]
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format('{"requests": %d, "seconds": %.6f, "refused": %d, "broken": %d, "p50_us": %d, "p99_us": %d}\n',
        summary.requests, summary.duration / 1e6, errors.status,
        errors.connect + errors.read + errors.write + errors.timeout,
        latency:percentile(50), latency:percentile(99)))
end
