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

dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "counts.lua")
