package main

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// pods takes the bound pods through their lives.
type pods struct{ client.Client }

func (p *pods) Reconcile(ctx context.Context, request ctrl.Request) (reconcile.Result, error) {
	var pod corev1.Pod
	if err := p.Get(ctx, request.NamespacedName, &pod); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	// A pod of a node that is gone is the garbage collector's business.
	if err := p.Get(ctx, types.NamespacedName{Name: pod.Spec.NodeName}, &corev1.Node{}); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if pod.DeletionTimestamp != nil {
		return p.end(ctx, &pod)
	}
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return reconcile.Result{}, nil
	}
	return p.live(ctx, &pod)
}

// end removes a pod that is being deleted once its containers would have stopped.
func (p *pods) end(ctx context.Context, pod *corev1.Pod) (reconcile.Result, error) {
	grace := time.Duration(0)
	if pod.DeletionGracePeriodSeconds != nil {
		grace = time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second
	}
	asked := pod.DeletionTimestamp.Add(-grace)
	if wait := time.Until(asked.Add(min(grace, wishedDuration(pod, "stop-after", time.Second)))); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	err := p.Delete(ctx, pod, client.GracePeriodSeconds(0), client.Preconditions{UID: &pod.UID})
	return reconcile.Result{}, client.IgnoreNotFound(err)
}

// live sets the phase and the readiness that are due, and comes back when the next are.
func (p *pods) live(ctx context.Context, pod *corev1.Pod) (reconcile.Result, error) {
	var (
		bound = boundAt(pod)
		phase = corev1.PodRunning
		ready = wish(pod, "ready-after") != "never"
		again time.Duration
	)
	if wait := time.Until(bound.Add(wishedDuration(pod, "ready-after", time.Second))); ready && wait > 0 {
		ready, again = false, wait
	}
	if lasts := wishedDuration(pod, "run-for", 0); lasts > 0 {
		wait := time.Until(bound.Add(lasts))
		switch {
		case wait <= 0:
			phase, ready, again = corev1.PodSucceeded, false, 0
		case again == 0 || wait < again:
			again = wait
		}
	}
	if pod.Status.Phase == phase && conditionOf(pod, corev1.PodReady).Status == status(ready) {
		return reconcile.Result{RequeueAfter: again}, nil
	}
	describe(pod, phase, ready)
	err := p.Status().Update(ctx, pod)
	return reconcile.Result{RequeueAfter: again}, client.IgnoreNotFound(err)
}

// boundAt is when the scheduler bound the pod, to the second.
func boundAt(pod *corev1.Pod) time.Time {
	if at := conditionOf(pod, corev1.PodScheduled).LastTransitionTime; !at.IsZero() {
		return at.Time
	}
	return pod.CreationTimestamp.Time // bound by a test rather than by the scheduler
}

func conditionOf(pod *corev1.Pod, t corev1.PodConditionType) corev1.PodCondition {
	for _, c := range pod.Status.Conditions {
		if c.Type == t {
			return c
		}
	}
	return corev1.PodCondition{}
}

func status(yes bool) corev1.ConditionStatus {
	if yes {
		return corev1.ConditionTrue
	}
	return corev1.ConditionFalse
}

// describe writes the status that a kubelet would write.
func describe(pod *corev1.Pod, phase corev1.PodPhase, ready bool) {
	now, s := metav1.Now(), &pod.Status
	s.Phase = phase
	if s.StartTime == nil {
		s.StartTime = &now
	}
	s.HostIP, s.PodIP = address(10, pod.Spec.NodeName), address(100, string(pod.UID))
	s.HostIPs, s.PodIPs = []corev1.HostIP{{IP: s.HostIP}}, []corev1.PodIP{{IP: s.PodIP}}
	for t, yes := range map[corev1.PodConditionType]bool{
		corev1.PodReadyToStartContainers: phase == corev1.PodRunning,
		corev1.PodInitialized:            true,
		corev1.ContainersReady:           ready,
		corev1.PodReady:                  ready,
	} {
		setCondition(pod, corev1.PodCondition{Type: t, Status: status(yes), LastTransitionTime: now})
	}
	s.ContainerStatuses = nil
	for _, container := range pod.Spec.Containers {
		c := corev1.ContainerStatus{
			Name: container.Name, Image: container.Image, ImageID: container.Image,
			ContainerID: "fake://" + string(pod.UID) + "/" + container.Name, Ready: ready, Started: new(true),
		}
		if phase == corev1.PodSucceeded {
			c.State.Terminated = &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: *s.StartTime, FinishedAt: now}
		} else {
			c.State.Running = &corev1.ContainerStateRunning{StartedAt: *s.StartTime}
		}
		s.ContainerStatuses = append(s.ContainerStatuses, c)
	}
}

func setCondition(pod *corev1.Pod, wanted corev1.PodCondition) {
	for i, c := range pod.Status.Conditions {
		if c.Type == wanted.Type {
			if c.Status != wanted.Status {
				pod.Status.Conditions[i] = wanted
			}
			return
		}
	}
	pod.Status.Conditions = append(pod.Status.Conditions, wanted)
}
