-- What wrk sends: the body of the file BODY_FILE, with the headers of HEADERS (name=value, separated by |).
wrk.method = "POST"
wrk.body = io.open(os.getenv("BODY_FILE"), "rb"):read("*a")
for name, value in string.gmatch(os.getenv("HEADERS"), "([^=|]+)=([^|]*)") do
  wrk.headers[name] = value
end
-- PAUSE_MS is for how long a connection rests on average before each request; as if its callers knew nothing of others.
local pause_ms = tonumber(os.getenv("PAUSE_MS") or "0")
if pause_ms > 0 then
  function delay()
    return math.random(0, 2 * pause_ms)
  end
end
