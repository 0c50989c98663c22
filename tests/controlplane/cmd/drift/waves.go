package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	kwok "sigs.k8s.io/karpenter/kwok/apis/v1alpha1"
)

// grow adds replicas wave after wave until there are enough nodes. Karpenter packs each wave by itself: the smaller the
// waves, the more nodes.
func (c *cluster) grow(ctx context.Context, workloads []*workload, nodes int, draw *rand.Rand) error {
	for {
		for milliCPU := int64(0); milliCPU < 20_000; {
			w := workloads[draw.IntN(len(workloads))]
			more := 1 + draw.IntN(4)
			milliCPU += int64(more) * w.milliCPU
			if err := c.scale(ctx, w, w.replicas+more); err != nil {
				return err
			}
		}
		s, err := c.settled(ctx, workloads)
		if err != nil {
			return err
		}
		if s.nodes >= nodes {
			return nil
		}
	}
}

// shrink takes 40 to 70 % of every workload's replicas away, but keeps two.
func (c *cluster) shrink(ctx context.Context, workloads []*workload, draw *rand.Rand) error {
	for _, w := range workloads {
		kept := w.replicas * (30 + draw.IntN(31)) / 100
		if err := c.scale(ctx, w, min(w.replicas, max(2, kept))); err != nil {
			return err
		}
	}
	return nil
}

// state is what the cluster consists of once it is at rest.
type state struct {
	nodes, pods int
	microUSD    int64
}

// settled waits until exactly the wanted pods are there, all of them Ready, and an agent on each node.
func (c *cluster) settled(ctx context.Context, workloads []*workload) (state, error) {
	wanted := 0
	for _, w := range workloads {
		wanted += w.replicas
	}
	for {
		s, missing, err := c.look(ctx, wanted)
		if err != nil || missing == "" {
			return s, err
		}
		select {
		case <-ctx.Done():
			return s, fmt.Errorf("%w while %s", ctx.Err(), missing)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// look says what there is, and what is still missing.
func (c *cluster) look(ctx context.Context, wanted int) (s state, missing string, err error) {
	var nodes corev1.NodeList
	if err := c.List(ctx, &nodes); err != nil {
		return s, "", err
	}
	var pods corev1.PodList
	if err := c.List(ctx, &pods, client.InNamespace(namespace)); err != nil {
		return s, "", err
	}
	s.nodes, s.pods = len(nodes.Items), len(pods.Items)
	for _, node := range nodes.Items {
		price, err := strconv.ParseFloat(node.Labels[kwok.NodeViewerLabelKey], 64)
		if err != nil {
			return s, "", fmt.Errorf("node %s: label %s: %w", node.Name, kwok.NodeViewerLabelKey, err)
		}
		s.microUSD += int64(math.Round(price * 1e6))
	}
	if wanted += s.nodes; s.pods != wanted {
		return s, fmt.Sprintf("there are %d pods of %d", s.pods, wanted), nil
	}
	for _, pod := range pods.Items {
		if pod.DeletionTimestamp != nil || !ready(&pod) {
			return s, fmt.Sprintf("pod %s is %s and not Ready, or ends", pod.Name, pod.Status.Phase), nil
		}
	}
	return s, "", nil
}

func ready(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}
