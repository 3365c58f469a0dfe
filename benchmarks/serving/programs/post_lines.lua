-- Sends the lines of BODY_FILE in turn.
local bodies = {}
for line in io.lines(os.getenv("BODY_FILE")) do bodies[#bodies + 1] = line end
local headers = {}
for name, value in string.gmatch(os.getenv("HEADERS"), "([^=|]+)=([^|]*)") do headers[name] = value end
local requests, place = {}, 0

function init()
  for number, body in ipairs(bodies) do requests[number] = wrk.format("POST", nil, headers, body) end
end

function request()
  place = place % #requests + 1
  return requests[place]
end
