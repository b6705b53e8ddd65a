module belay.dev/tests/harness/instance_kinds

go 1.24.0

require (
	github.com/argoproj/argo-workflows/v3 v3.7.3
	github.com/kubeflow/trainer/v2 v2.0.0
	github.com/ray-project/kuberay/ray-operator v1.3.2
	sigs.k8s.io/jobset v0.8.2
	sigs.k8s.io/kueue v0.11.4
)
