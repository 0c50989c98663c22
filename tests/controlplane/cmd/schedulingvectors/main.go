// schedulingvectors writes which nodes kube-scheduler's own filter plugins refuse to pods of generated clusters.
//
// Each line holds a cluster: its objects as an API server would have stored them (its own defaults and validation are
// applied), and for each pod one word per node, in the order of `nodes`: the letters of the plugins that refuse it, `-` where
// none does. Of a pod that runs that is what they would say had it been evicted and made anew. The letters are in plugins.go. Every plugin answers by itself: the first refusal hides no other.
//
//	schedulingvectors [--seed N] [--verdicts N]
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"

	"k8s.io/klog/v2"
)

func main() {
	seed := flag.Uint64("seed", 1, "what chance starts from")
	least := flag.Int("verdicts", 20_000, "how many verdicts there are at least")
	flag.Parse()
	if err := write(*seed, *least); err != nil {
		fmt.Fprintln(os.Stderr, "schedulingvectors:", err)
		os.Exit(1)
	}
}

func write(seed uint64, least int) error {
	ctx, stop := context.WithCancel(klog.NewContext(context.Background(), klog.LoggerWithName(klog.Background(), "vectors")))
	defer stop()
	klog.LogToStderr(false)
	klog.SetOutput(discard{})
	chance := &lot{rand.New(rand.NewPCG(seed, 0))}
	var clusters []*cluster
	for verdicts, at := 0, 0; verdicts < least; at++ {
		one, err := generate(chance, at)
		if err != nil {
			return fmt.Errorf("cluster %d: %w", at, err)
		}
		clusters = append(clusters, one)
		verdicts += len(one.nodes) * len(one.asking())
	}
	judge, err := newJudge(ctx, clusters)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	for at, one := range clusters {
		verdicts, err := judge.of(ctx, one)
		if err != nil {
			return fmt.Errorf("cluster %d: %w", at, err)
		}
		if err := lines.Encode(one.wire(verdicts)); err != nil {
			return err
		}
	}
	return out.Flush()
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
