-- The conditions of a Workflow follow kstatus; this puts them into the words of Argo CD.
local health = {status = "Progressing", message = "Belay has not looked at it yet"}

local status = obj.status
if status == nil or status.conditions == nil then
  return health
end
if status.observedGeneration ~= obj.metadata.generation then
  health.message = "Belay has not looked at the newest spec yet"
  return health
end

local conditions = {}
for _, condition in ipairs(status.conditions) do
  conditions[condition.type] = condition
end

local function is(type, wanted)
  local found = conditions[type]
  return found ~= nil and found.status == wanted
end

local function say(word, condition)
  health.status = word
  health.message = condition.reason .. ": " .. condition.message
  return health
end

if is("Stalled", "True") then
  return say("Degraded", conditions.Stalled)
end
-- Checks at rest (verification.steady) tell what fails now and revert nothing: Ready stays.
if is("Ready", "True") and is("Serving", "False") then
  return say("Degraded", conditions.Serving)
end
if conditions.Ready == nil then
  return health
end
if status.phase == "Suspended" then
  return say("Suspended", conditions.Ready)
end
if is("Ready", "True") then
  return say("Healthy", conditions.Ready)
end
return say("Progressing", conditions.Ready)
