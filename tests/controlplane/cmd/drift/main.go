// drift fills a cluster that has Karpenter with its kwok provider the way clusters fill up over years, and lets it run empty:
//
//	drift --kubeconfig FILE --nodes 30 --seed 1
//
// Workloads with disruption budgets grow in waves, each on nodes of families that were current then, and shrink to about
// half; the pools are widened to newer families afterwards. Karpenter consolidates nothing (consolidateAfter: Never), the
// pools are handed over to Kentroller. When all pods run it prints
//
//	drifted nodes=30 pods=97 usd_per_hour=7.1234
//
// The seed decides workloads and waves. Node names and zones are drawn by the provider: the same seed gives like clusters, not equal ones.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func main() {
	nodes := flag.Int("nodes", 30, "grow until there are so many nodes")
	seed := flag.Uint64("seed", 1, "what the workloads are drawn from")
	flag.Parse() // and --kubeconfig, which controller-runtime declares
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	if err := drift(ctx, *nodes, rand.New(rand.NewPCG(*seed, 0))); err != nil {
		fmt.Fprintln(os.Stderr, "drift:", err)
		os.Exit(1)
	}
}

func drift(ctx context.Context, nodes int, draw *rand.Rand) error {
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 200, 400
	api, err := client.New(config, client.Options{Scheme: scheme.Scheme})
	if err != nil {
		return err
	}
	c := &cluster{api}
	workloads := drawWorkloads(draw)
	if err := c.createPools(ctx); err != nil {
		return err
	}
	if err := c.createWorkloads(ctx, workloads); err != nil {
		return err
	}
	if err := c.grow(ctx, workloads, nodes, draw); err != nil {
		return err
	}
	if err := c.shrink(ctx, workloads, draw); err != nil {
		return err
	}
	if err := c.widenPools(ctx); err != nil {
		return err
	}
	s, err := c.settled(ctx, workloads)
	if err != nil {
		return err
	}
	fmt.Printf("drifted nodes=%d pods=%d usd_per_hour=%.4f\n", s.nodes, s.pods, float64(s.microUSD)/1e6)
	return nil
}
