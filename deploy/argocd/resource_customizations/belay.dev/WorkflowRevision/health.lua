-- A revision is a record: nothing of it moves or fails. Its Workflow tells what became of it.
return {
  status = "Healthy",
  message = obj.spec.revision .. " of " .. obj.spec.workflowName .. ", immutable",
}
