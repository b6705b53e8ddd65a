module belay.dev/tests/harness/argo

go 1.26.0

require github.com/argoproj/argo-rollouts v1.10.1
