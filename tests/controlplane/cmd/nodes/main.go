// nodes plays the kubelets of all nodes that the kwok provider made: it reports the nodes Ready, renews their leases,
// "runs" the pods bound to them and ends pods that are being deleted. No container ever starts.
//
// Annotations it obeys:
//
//	node  kentroller.dev/fake-dead: "true"       no heartbeat from now on; after a while the node turns NotReady
//	pod   kentroller.dev/fake-ready-after: 30s   turns Ready that long after it was bound ("never": it does not); default 1s
//	pod   kentroller.dev/fake-run-for: 60s       exits with 0 that long after it was bound; default: runs on
//	pod   kentroller.dev/fake-stop-after: 5s     takes that long to end, at most its grace period; default 1s
package main

import (
	"flag"
	"fmt"
	"hash/fnv"
	"log"
	"time"

	"github.com/go-logr/stdr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	kwok "sigs.k8s.io/karpenter/kwok/apis/v1alpha1"
)

func main() {
	flag.Parse() // --kubeconfig, which controller-runtime declares
	ctrl.SetLogger(stdr.New(log.Default()))
	if err := play(); err != nil {
		log.Fatal(err)
	}
}

func play() error {
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 1000, 2000
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Metrics: server.Options{BindAddress: "0"}, // none
		Cache: cache.Options{ByObject: map[client.Object]cache.ByObject{
			&corev1.Node{}: {Label: labels.SelectorFromSet(labels.Set{kwok.KwokLabelKey: kwok.KwokLabelValue})},
			&corev1.Pod{}:  {Field: fields.OneTermNotEqualSelector("spec.nodeName", "")},
		}},
	})
	if err != nil {
		return err
	}
	many := controller.Options{MaxConcurrentReconciles: 16}
	nodes, pods := &nodes{manager.GetClient()}, &pods{manager.GetClient()}
	if err := ctrl.NewControllerManagedBy(manager).For(&corev1.Node{}).WithOptions(many).Complete(nodes); err != nil {
		return err
	}
	if err := ctrl.NewControllerManagedBy(manager).For(&corev1.Pod{}).WithOptions(many).Complete(pods); err != nil {
		return err
	}
	return manager.Start(ctrl.SetupSignalHandler())
}

// wish is the value of one of the annotations above.
func wish(object client.Object, name string) string {
	return object.GetAnnotations()["kentroller.dev/fake-"+name]
}

func wishedDuration(object client.Object, name string, otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(wish(object, name)); err == nil {
		return d
	}
	return otherwise
}

// address makes up an IPv4 address that stays the same for the same name.
func address(network int, name string) string {
	h := fnv.New32a()
	h.Write([]byte(name))
	sum := h.Sum32()
	return fmt.Sprintf("%d.%d.%d.%d", network, byte(sum>>16), byte(sum>>8), byte(sum)|1)
}
