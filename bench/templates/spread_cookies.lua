-- Each request is of one of many sessions, drawn by lot. The cookies come from a file, one a line. They are presented as
-- they are again and again: nobody presents a newer one, so they stay good.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "counts.lua")
local sent, messages = nil, {}

function init(arguments)
    sent = counter(arguments[1])
    for cookie in io.lines(arguments[2]) do
        messages[#messages + 1] = wrk.format("GET", wrk.path, { Cookie = cookie })
    end
    math.randomseed(1)
end

function request()
    sent[0] = sent[0] + 1
    return messages[math.random(#messages)]
end
