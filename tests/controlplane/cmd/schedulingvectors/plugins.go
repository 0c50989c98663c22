package main

import (
	"context"
	"fmt"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/latest"
	"k8s.io/kubernetes/pkg/scheduler/backend/cache"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodevolumelimits"
	frameworkruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	"k8s.io/kubernetes/pkg/scheduler/metrics"
)

// The plugins that are asked, with the letters that stand for their refusals.
var asked = []struct{ letter, name string }{
	{"U", "NodeUnschedulable"},
	{"T", "TaintToleration"},
	{"A", "NodeAffinity"},
	{"P", "NodePorts"},
	{"R", "NodeResourcesFit"},
	{"S", "PodTopologySpread"},
	{"I", "InterPodAffinity"},
	{"B", "VolumeBinding"},
	{"Z", "VolumeZone"},
	{"L", "NodeVolumeLimits"},
}

// judge asks the plugins about one cluster after the other.
type judge struct {
	plugins map[string]fwk.Plugin
	// What the plugins see of nodes and pods: the cluster that is judged.
	now *present
}

type present struct{ *cache.Snapshot }

// newJudge makes the plugins with the arguments of the default configuration. Objects beside nodes and pods have names of
// their own cluster, so all clusters stand in the caches at once.
func newJudge(ctx context.Context, clusters []*cluster) (*judge, error) {
	metrics.Register()
	objects := namespaces()
	for _, one := range clusters {
		objects = append(objects, one.storage()...)
	}
	client := fake.NewSimpleClientset(objects...)
	factory := informers.NewSharedInformerFactory(client, 0)
	now := &present{cache.NewEmptySnapshot()}
	csi := nodevolumelimits.NewCSIManager(factory.Storage().V1().CSINodes().Lister())
	handle, err := frameworkruntime.NewFramework(ctx, nil, nil, frameworkruntime.WithClientSet(client),
		frameworkruntime.WithInformerFactory(factory), frameworkruntime.WithSnapshotSharedLister(now),
		frameworkruntime.WithSharedCSIManager(csi))
	if err != nil {
		return nil, err
	}
	config, err := latest.Default()
	if err != nil {
		return nil, err
	}
	args := map[string]runtime.Object{}
	for _, one := range config.Profiles[0].PluginConfig {
		args[one.Name] = one.Args
	}
	made, registry := map[string]fwk.Plugin{}, plugins.NewInTreeRegistry()
	for _, one := range asked {
		if made[one.letter], err = registry[one.name](ctx, args[one.name], handle); err != nil {
			return nil, fmt.Errorf("%s: %w", one.name, err)
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	return &judge{plugins: made, now: now}, nil
}

// of asks about every node for each pod that waits, and for each that runs as if it were made anew, its old self being gone.
func (j *judge) of(ctx context.Context, of *cluster) (map[string]string, error) {
	verdicts := map[string]string{}
	for _, asking := range of.asking() {
		var others []*v1.Pod
		for _, pod := range of.pods {
			if pod != asking && pod.Spec.NodeName != "" && counts(pod) {
				others = append(others, pod)
			}
		}
		j.now.Snapshot = cache.NewSnapshot(others, of.nodes)
		pod := asking.DeepCopy()
		pod.Spec.NodeName, pod.Status = "", v1.PodStatus{Phase: v1.PodPending}
		words := make([]string, len(of.nodes))
		for _, one := range asked {
			refused, err := j.ask(ctx, j.plugins[one.letter], pod, of.nodes)
			if err != nil {
				return nil, fmt.Errorf("%s of pod %s: %w", one.name, pod.Name, err)
			}
			for at := range refused {
				words[at] += map[bool]string{true: one.letter}[refused[at]]
			}
		}
		for at := range words {
			if words[at] == "" {
				words[at] = "-"
			}
		}
		verdicts[pod.Namespace+"/"+pod.Name] = strings.Join(words, " ")
	}
	return verdicts, nil
}

// ask tells for each node whether one plugin refuses it to a pod: all of them where its PreFilter does.
func (j *judge) ask(ctx context.Context, plugin fwk.Plugin, pod *v1.Pod, nodes []*v1.Node) ([]bool, error) {
	refused, state := make([]bool, len(nodes)), framework.NewCycleState()
	var named *fwk.PreFilterResult
	if first, is := plugin.(fwk.PreFilterPlugin); is {
		all, err := j.now.NodeInfos().List()
		if err != nil {
			return nil, err
		}
		result, status := first.PreFilter(ctx, state, pod, all)
		switch {
		case status.IsSkip():
			return refused, nil
		case status.IsRejected():
			for at := range refused {
				refused[at] = true
			}
			return refused, nil
		case !status.IsSuccess():
			return nil, status.AsError()
		}
		named = result
	}
	for at, node := range nodes {
		info, err := j.now.NodeInfos().Get(node.Name)
		if err != nil {
			return nil, err
		}
		if !named.AllNodes() && !named.NodeNames.Has(node.Name) {
			refused[at] = true
			continue
		}
		status := plugin.(fwk.FilterPlugin).Filter(ctx, state, pod, info)
		if !status.IsSuccess() && !status.IsRejected() {
			return nil, status.AsError()
		}
		refused[at] = status.IsRejected()
	}
	return refused, nil
}
