package main

import (
	"context"

	v1 "k8s.io/api/core/v1"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	core "k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	strategy "k8s.io/kubernetes/pkg/registry/core/pod"
)

// admitted is a pod as an API server stores it, or why it does not.
func admitted(pod *v1.Pod) (*v1.Pod, error) {
	legacyscheme.Scheme.Default(pod)
	var inside core.Pod
	if err := legacyscheme.Scheme.Convert(pod, &inside, nil); err != nil {
		return nil, err
	}
	ctx := genericapirequest.WithNamespace(context.Background(), pod.Namespace)
	rest.FillObjectMetaSystemFields(&inside)
	if err := rest.BeforeCreate(strategy.Strategy, ctx, &inside); err != nil {
		return nil, err
	}
	var stored v1.Pod
	if err := legacyscheme.Scheme.Convert(&inside, &stored, nil); err != nil {
		return nil, err
	}
	// They tell no two pods apart, and are other ones each time.
	stored.UID, stored.Generation, stored.Status = "", 0, pod.Status
	stored.CreationTimestamp = pod.CreationTimestamp
	stored.Labels = pod.Labels
	return &stored, nil
}
