package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// lot draws.
type lot struct{ *rand.Rand }

// in is true in so many of a hundred.
func (l *lot) in(hundred int) bool { return l.IntN(100) < hundred }

func pick[T any](l *lot, of ...T) T { return of[l.IntN(len(of))] }

// theme is what the pods of a cluster are about. The rest of it is tame, so that one rule does not hide all others.
type theme int

const (
	places theme = iota
	amounts
	ports
	company
	spread
	disks
	all
	themes
)

// cluster is what one line is about.
type cluster struct {
	nodes    []*v1.Node
	pods     []*v1.Pod
	volumes  []*v1.PersistentVolume
	claims   []*v1.PersistentVolumeClaim
	classes  []*storagev1.StorageClass
	csiNodes []*storagev1.CSINode
}

// generate makes a cluster of 9 to 16 nodes with pods on them, and 9 pods that have none.
func generate(l *lot, number int) (*cluster, error) {
	about, of := theme(number%int(themes)), &cluster{}
	of.nodes = nodes(l, about, number)
	if about == disks || about == all {
		of.disks(l, number)
	}
	for at := range 10 + l.IntN(12) {
		pod, err := of.pod(l, about, fmt.Sprintf("b%d", at))
		if err != nil {
			return nil, err
		}
		of.bind(l, pod, about)
	}
	for at := range 9 {
		pod, err := of.pod(l, about, fmt.Sprintf("p%d", at))
		if err != nil {
			return nil, err
		}
		of.pods = append(of.pods, pod)
	}
	return of, nil
}

// bind puts a pod on a node, whether or not it fits. Some are ending, have ended, or are being resized.
func (c *cluster) bind(l *lot, pod *v1.Pod, about theme) {
	pod.Spec.NodeName, pod.Status.Phase = pick(l, c.nodes...).Name, v1.PodRunning
	switch {
	case l.in(5):
		gone := metav1.NewTime(time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC))
		pod.DeletionTimestamp = &gone
	case l.in(4):
		pod.Status.Phase = pick(l, v1.PodSucceeded, v1.PodFailed)
	case (about == amounts || about == all) && l.in(20):
		resize(l, pod)
	}
	c.pods = append(c.pods, pod)
}

// counts is whether the scheduler sees a pod at all: its informer's field selector leaves out those that have ended.
func counts(pod *v1.Pod) bool {
	return pod.Status.Phase != v1.PodSucceeded && pod.Status.Phase != v1.PodFailed
}

// asking is the pods that are judged: those that wait for a node, and those that run and would have to find one once evicted.
// Not those that end, nor those that are being resized: what their successors ask for stands in templates.
func (c *cluster) asking() []*v1.Pod {
	var asking []*v1.Pod
	for _, pod := range c.pods {
		if counts(pod) && pod.DeletionTimestamp == nil && pod.Status.ContainerStatuses == nil {
			asking = append(asking, pod)
		}
	}
	return asking
}

// namespaces is what every cluster has.
func namespaces() []runtime.Object {
	space := func(name string, labels map[string]string) runtime.Object {
		labels["kubernetes.io/metadata.name"] = name
		return &v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	}
	return []runtime.Object{
		space("shop", map[string]string{"team": "red", "stage": "prod"}),
		space("pay", map[string]string{"team": "blue", "stage": "prod"}),
		space("lab", map[string]string{"team": "red"}),
	}
}

// wire is the line of a cluster, without what no rule reads.
func (c *cluster) wire(verdicts map[string]string) any {
	pods := make([]any, len(c.pods))
	for at, pod := range c.pods {
		pods[at] = slim(pod)
	}
	line := map[string]any{"nodes": tidy(c.nodes), "namespaces": tidy(namespaces()), "pods": tidy(pods), "verdicts": verdicts}
	for key, objects := range map[string]any{"volumes": c.volumes, "claims": c.claims, "classes": c.classes, "csiNodes": c.csiNodes} {
		if list := tidy(objects); list != nil {
			line[key] = list
		}
	}
	return line
}

func slim(pod *v1.Pod) *v1.Pod {
	bare := pod.DeepCopy()
	spec := &bare.Spec
	spec.RestartPolicy, spec.DNSPolicy, spec.SecurityContext, spec.SchedulerName = "", "", nil, ""
	spec.TerminationGracePeriodSeconds, spec.EnableServiceLinks = nil, nil
	for _, list := range [][]v1.ContainerStatus{bare.Status.ContainerStatuses, bare.Status.InitContainerStatuses} {
		for at := range list {
			one := &list[at]
			list[at] = v1.ContainerStatus{Name: one.Name, AllocatedResources: one.AllocatedResources, Resources: one.Resources}
		}
	}
	for _, list := range [][]v1.Container{spec.Containers, spec.InitContainers} {
		for at := range list {
			one := &list[at]
			one.Image, one.ImagePullPolicy, one.TerminationMessagePath, one.TerminationMessagePolicy = "", "", "", ""
		}
	}
	return bare
}

// tidy is an object as JSON without empty fields that mean the same as none: status, resources and the like.
func tidy(object any) any {
	text, err := json.Marshal(object)
	if err != nil {
		panic(err) // Kubernetes' own types always marshal.
	}
	var plain any
	if err := json.Unmarshal(text, &plain); err != nil {
		panic(err)
	}
	drop(plain)
	return plain
}

// noise is fields of which an empty value says nothing.
var noise = map[string]bool{"status": true, "spec": true, "resources": true, "image": true, "imageID": true, "lastState": true,
	"state": true, "ready": true, "restartCount": true}

func drop(value any) {
	switch value := value.(type) {
	case []any:
		for _, one := range value {
			drop(one)
		}
	case map[string]any:
		for key, one := range value {
			drop(one)
			fields, is := one.(map[string]any)
			empty := is && len(fields) == 0 && noise[key] || noise[key] && (one == "" || one == false || one == 0.0)
			if one == nil || empty || key == "nodeInfo" || key == "daemonEndpoints" {
				delete(value, key)
			}
		}
	}
}
