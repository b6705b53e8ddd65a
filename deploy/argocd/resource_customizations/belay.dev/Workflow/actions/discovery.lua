local status = obj.status or {}
local rollout = status.rollout
local suspended = obj.spec.suspend == true
local moving = rollout ~= nil and rollout.outcome == nil
local goingBack = moving and rollout.phase == "Reverting"

local stalled = false
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Stalled" and condition.status == "True" then
    stalled = true
  end
end

return {
  retry = {disabled = suspended or not stalled},
  abort = {disabled = suspended or not moving or goingBack},
  suspend = {disabled = suspended},
  resume = {disabled = not suspended},
}
