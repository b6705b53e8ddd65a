local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
-- A token is handled once, so each press of the button is another one.
obj.metadata.annotations["belay.dev/abort"] = "argocd-" .. os.date("!%Y-%m-%dT%XZ")
return obj
