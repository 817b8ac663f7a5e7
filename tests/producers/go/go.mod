module producers/go

go 1.24

require (
	go.uber.org/zap v1.27.0
	k8s.io/klog/v2 v2.130.1
)

require (
	github.com/go-logr/logr v1.4.1 // indirect
	go.uber.org/multierr v1.10.0 // indirect
)
