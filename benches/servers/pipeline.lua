-- Sends as many requests together as the argument says.
function init(args)
   local request = wrk.format("GET")
   together = string.rep(request, tonumber(args[1]))
end

function request()
   return together
end
