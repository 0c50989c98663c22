package main

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	zone   = "topology.kubernetes.io/zone"
	region = "topology.kubernetes.io/region"
	rack   = "example.com/rack"
	cores  = "example.com/cores"
	disk   = "disk"
	gpu    = "example.com/gpu"
)

// nodes have odd labels, taints and amounts where the theme is about them.
func nodes(l *lot, about theme, number int) []*v1.Node {
	list := make([]*v1.Node, 9+l.IntN(8))
	zones := 2 + l.IntN(3)
	for at := range list {
		node := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("n%d-%d", number, at)}}
		node.Labels = map[string]string{v1.LabelHostname: node.Name, v1.LabelOSStable: "linux", v1.LabelArchStable: pick(l, "amd64", "amd64", "arm64"), region: "eu-west-1"}
		if !l.in(8) {
			node.Labels[zone] = fmt.Sprintf("eu-west-1%c", 'a'+l.IntN(zones))
		}
		if l.in(70) {
			node.Labels[rack] = fmt.Sprintf("r%d", l.IntN(4))
		}
		if l.in(60) {
			node.Labels[disk] = pick(l, "ssd", "hdd", "")
		}
		if l.in(60) {
			node.Labels[cores] = pick(l, "2", "4", "8", "16", "-3", "007", "4.5", "many", "9223372036854775807", "99999999999999999999", "")
		}
		if about == places || about == spread || about == all {
			node.Spec.Taints, node.Spec.Unschedulable = taints(l), l.in(8)
			if node.Spec.Unschedulable { // as the controller of node lifecycles does
				node.Spec.Taints = append(node.Spec.Taints, v1.Taint{Key: v1.TaintNodeUnschedulable, Effect: v1.TaintEffectNoSchedule})
			}
		}
		node.Status.Allocatable = room(l, about)
		node.Status.Conditions = []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionTrue}}
		list[at] = node
	}
	return list
}

func taints(l *lot) []v1.Taint {
	var list []v1.Taint
	seen := map[string]bool{}
	for range pick(l, 0, 0, 0, 1, 1, 2) {
		taint := v1.Taint{Key: pick(l, "dedicated", "gpu", "node.kubernetes.io/unreachable", "example.com/old"), Value: pick(l, "", "a", "b"),
			Effect: pick(l, v1.TaintEffectNoSchedule, v1.TaintEffectNoExecute, v1.TaintEffectPreferNoSchedule)}
		if id := taint.Key + string(taint.Effect); !seen[id] {
			seen[id] = true
			list = append(list, taint)
		}
	}
	return list
}

func room(l *lot, about theme) v1.ResourceList {
	list := func(texts map[string]string) v1.ResourceList {
		of := v1.ResourceList{}
		for name, text := range texts {
			of[v1.ResourceName(name)] = resource.MustParse(text)
		}
		return of
	}
	if about != amounts && about != all {
		return list(map[string]string{"cpu": "64", "memory": "256Gi", "pods": "110"})
	}
	texts := map[string]string{
		"cpu":    pick(l, "2", "3920m", "7910m", "16", "1930m", "0"),
		"memory": pick(l, "3Gi", "6903Mi", "14162354Ki", "8000000000", "31.5Gi"),
		"pods":   pick(l, "3", "4", "8", "29", "110", "0"),
	}
	if l.in(60) {
		texts["ephemeral-storage"] = pick(l, "18Gi", "47233297124", "1Gi")
	}
	if l.in(50) {
		texts[gpu] = pick(l, "0", "1", "4")
	}
	if l.in(40) {
		texts["hugepages-2Mi"] = pick(l, "0", "64Mi", "1Gi")
	}
	return list(texts)
}
