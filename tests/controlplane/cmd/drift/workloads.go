package main

import (
	"context"
	"fmt"
	"math/rand/v2"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	karpenter "sigs.k8s.io/karpenter/pkg/apis/v1"
)

const namespace = "drifted"

// workload is a Deployment and how it looks.
type workload struct {
	name     string
	pool     string
	milliCPU int64
	mebibyte int64
	// budget is its PodDisruptionBudget's maxUnavailable; empty: it has none.
	budget string
	// spread asks for its pods in different zones where that is possible.
	spread   bool
	replicas int
}

func drawWorkloads(draw *rand.Rand) []*workload {
	pick := func(values ...int64) int64 { return values[draw.IntN(len(values))] }
	var all []*workload
	for i := range 14 {
		w := &workload{name: fmt.Sprintf("service-%02d", i), milliCPU: pick(100, 250, 400, 500, 750, 1000, 1500), spread: i%3 == 0}
		gibibytesPerCPU := pick(1, 2, 2, 4, 7)
		w.mebibyte = w.milliCPU * gibibytesPerCPU * 1024 / 1000
		w.pool = "general"
		if gibibytesPerCPU > 4 {
			w.pool = "memory"
		}
		w.budget = []string{"1", "25%", "1", ""}[draw.IntN(4)]
		all = append(all, w)
	}
	return all
}

func (c *cluster) createWorkloads(ctx context.Context, workloads []*workload) error {
	objects := []client.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, agent()}
	for _, w := range workloads {
		objects = append(objects, w.deployment())
		if w.budget != "" {
			objects = append(objects, w.disruptionBudget())
		}
	}
	for _, object := range objects {
		if err := c.Create(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

// scale sets a workload's replicas.
func (c *cluster) scale(ctx context.Context, w *workload, replicas int) error {
	w.replicas = replicas
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	return c.Patch(ctx, w.deployment(), client.RawPatch("application/merge-patch+json", patch))
}

func (w *workload) meta() metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: w.name}
}

func (w *workload) labels() map[string]string {
	return map[string]string{"app.kubernetes.io/name": w.name}
}

func (w *workload) deployment() *appsv1.Deployment {
	pod := podSpec(w.milliCPU, w.mebibyte)
	pod.NodeSelector = map[string]string{karpenter.NodePoolLabelKey: w.pool}
	selector := &metav1.LabelSelector{MatchLabels: w.labels()}
	if w.spread {
		pod.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: corev1.LabelTopologyZone, WhenUnsatisfiable: corev1.ScheduleAnyway, LabelSelector: selector,
		}}
	}
	d := &appsv1.Deployment{ObjectMeta: w.meta()}
	d.Spec.Replicas, d.Spec.Selector = new(int32(0)), selector
	d.Spec.Template = corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: w.labels()}, Spec: pod}
	return d
}

func (w *workload) disruptionBudget() *policyv1.PodDisruptionBudget {
	budget := &policyv1.PodDisruptionBudget{ObjectMeta: w.meta()}
	budget.Spec.MaxUnavailable = new(intstr.Parse(w.budget))
	budget.Spec.Selector = &metav1.LabelSelector{MatchLabels: w.labels()}
	return budget
}

// agent is a DaemonSet, as every cluster has some: it takes room on each node and never counts as a reason to keep one.
func agent() *appsv1.DaemonSet {
	labels := map[string]string{"app.kubernetes.io/name": "agent"}
	d := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "agent"}}
	d.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
	d.Spec.Template = corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: podSpec(50, 64)}
	d.Spec.Template.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	return d
}

func podSpec(milliCPU, mebibyte int64) corev1.PodSpec {
	return corev1.PodSpec{Containers: []corev1.Container{{
		Name: "main", Image: "example.test/service:1",
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
			corev1.ResourceCPU:    *resource.NewMilliQuantity(milliCPU, resource.DecimalSI),
			corev1.ResourceMemory: *resource.NewQuantity(mebibyte<<20, resource.BinarySI),
		}},
	}}}
}
