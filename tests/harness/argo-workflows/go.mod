module belay.dev/tests/harness/argo_workflows

go 1.24.0

require github.com/argoproj/argo-workflows/v3 v3.7.3
