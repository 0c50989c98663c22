// karpenter is Karpenter with its kwok provider, as sigs.k8s.io/karpenter/kwok builds it, but with its metrics and health
// servers on loopback: that program listens on every interface and has no option for it. Everything else comes from
// Karpenter's own environment variables.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/go-logr/zapr"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	crlog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	kwok "sigs.k8s.io/karpenter/kwok/cloudprovider"
	"sigs.k8s.io/karpenter/pkg/cloudprovider/overlay"
	"sigs.k8s.io/karpenter/pkg/controllers"
	"sigs.k8s.io/karpenter/pkg/controllers/nodeoverlay"
	"sigs.k8s.io/karpenter/pkg/controllers/state"
	"sigs.k8s.io/karpenter/pkg/events"
	"sigs.k8s.io/karpenter/pkg/operator"
	"sigs.k8s.io/karpenter/pkg/operator/injection"
	"sigs.k8s.io/karpenter/pkg/operator/logging"
	"sigs.k8s.io/karpenter/pkg/operator/options"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	ctx := injection.WithOptionsOrDie(ctrl.SetupSignalHandler(), options.Injectables...)
	logger := zapr.NewLogger(logging.NewLogger(ctx, "controller"))
	crlog.SetLogger(logger)
	klog.SetLogger(logger)
	ctx = crlog.IntoContext(ctx, logger)

	op, err := newOperator(ctx)
	if err != nil {
		return err
	}
	types, err := kwok.ConstructInstanceTypes(ctx)
	if err != nil {
		return err
	}
	provider := kwok.NewCloudProvider(ctx, op.GetClient(), types)
	overlaid := overlay.Decorate(provider, op.GetClient(), op.InstanceTypeStore)
	cluster := state.NewCluster(op.Clock, op.GetClient(), overlaid)
	op.WithControllers(ctx, controllers.NewControllers(
		ctx, op.Manager, op.Clock, op.GetClient(), op.EventRecorder, overlaid, provider, cluster, op.InstanceTypeStore,
	)...).Start(ctx)
	return nil
}

// newOperator is operator.NewOperator but for the two addresses, and without leader election.
func newOperator(ctx context.Context) (*operator.Operator, error) {
	o, logger := options.FromContext(ctx), crlog.FromContext(ctx)
	config, err := ctrl.GetConfig()
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst, config.UserAgent = float32(o.KubeClientQPS), o.KubeClientBurst, operator.AppName
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Logger:                 logging.IgnoreDebugEvents(logger),
		Metrics:                server.Options{BindAddress: fmt.Sprintf("127.0.0.1:%d", o.MetricsPort)},
		HealthProbeBindAddress: fmt.Sprintf("127.0.0.1:%d", o.HealthProbePort),
		// Without the signal handler's: what runs may finish after it.
		BaseContext: func() context.Context { return context.WithoutCancel(ctx) },
		Cache: cache.Options{ByObject: map[client.Object]cache.ByObject{
			&coordinationv1.Lease{}: {Field: fields.SelectorFromSet(fields.Set{"metadata.namespace": "kube-node-lease"})},
		}},
	})
	if err != nil {
		return nil, err
	}
	if err := addIndexes(ctx, manager.GetFieldIndexer()); err != nil {
		return nil, err
	}
	if err := manager.AddReadyzCheck("readyz", healthz.Ping); err != nil {
		return nil, err
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &operator.Operator{
		Manager:             manager,
		KubernetesInterface: kube,
		EventRecorder:       events.NewRecorder(manager.GetEventRecorderFor(operator.AppName)), //nolint:staticcheck // the type that events.NewRecorder takes
		Clock:               clock.RealClock{},
		InstanceTypeStore:   nodeoverlay.NewInstanceTypeStore(),
	}, nil
}
