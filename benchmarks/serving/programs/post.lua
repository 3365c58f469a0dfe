-- What wrk sends: the body of the file BODY_FILE, with the headers of HEADERS (name=value, separated by |).
wrk.method = "POST"
wrk.body = io.open(os.getenv("BODY_FILE"), "rb"):read("*a")
for name, value in string.gmatch(os.getenv("HEADERS"), "([^=|]+)=([^|]*)") do
  wrk.headers[name] = value
end
