package main

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordination "k8s.io/client-go/applyconfigurations/coordination/v1"
	meta "k8s.io/client-go/applyconfigurations/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// nodes keeps the nodes Ready and their leases fresh.
type nodes struct{ client.Client }

func (n *nodes) Reconcile(ctx context.Context, request ctrl.Request) (reconcile.Result, error) {
	var node corev1.Node
	if err := n.Get(ctx, request.NamespacedName, &node); err != nil || wish(&node, "dead") == "true" {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !isReady(&node) {
		report(&node)
		if err := n.Status().Update(ctx, &node); err != nil {
			return reconcile.Result{}, client.IgnoreNotFound(err)
		}
	}
	// 20 s of the 40 s after which the lease ends; node-lifecycle-controller waits 50 s.
	return reconcile.Result{RequeueAfter: 20 * time.Second}, n.heartbeat(ctx, &node)
}

func isReady(node *corev1.Node) bool {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// report fills in what a kubelet says of itself; capacity and allocatable are there from the provider.
func report(node *corev1.Node) {
	now := metav1.Now()
	condition := func(t corev1.NodeConditionType, status corev1.ConditionStatus, reason string) corev1.NodeCondition {
		return corev1.NodeCondition{Type: t, Status: status, Reason: reason, LastHeartbeatTime: now, LastTransitionTime: now}
	}
	node.Status.Conditions = []corev1.NodeCondition{
		condition(corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory"),
		condition(corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure"),
		condition(corev1.NodePIDPressure, corev1.ConditionFalse, "KubeletHasSufficientPID"),
		condition(corev1.NodeReady, corev1.ConditionTrue, "KubeletReady"),
	}
	node.Status.Phase = corev1.NodeRunning
	node.Status.Addresses = []corev1.NodeAddress{
		{Type: corev1.NodeInternalIP, Address: address(10, node.Name)}, {Type: corev1.NodeHostName, Address: node.Name},
	}
	node.Status.NodeInfo = corev1.NodeSystemInfo{
		Architecture: node.Labels[corev1.LabelArchStable], OperatingSystem: "linux", OSImage: "fake",
		KubeletVersion: "v1.35.0", ContainerRuntimeVersion: "fake://1",
	}
}

func (n *nodes) heartbeat(ctx context.Context, node *corev1.Node) error {
	owner := meta.OwnerReference().WithAPIVersion("v1").WithKind("Node").WithName(node.Name).WithUID(node.UID)
	lease := coordination.Lease(node.Name, corev1.NamespaceNodeLease).WithOwnerReferences(owner).
		WithSpec(coordination.LeaseSpec().WithHolderIdentity(node.Name).WithLeaseDurationSeconds(40).WithRenewTime(metav1.NowMicro()))
	return n.Apply(ctx, lease, client.FieldOwner("nodes"), client.ForceOwnership)
}
