package main

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	v1 "sigs.k8s.io/karpenter/pkg/apis/v1"
)

// indexed is a field by which Karpenter's controllers look objects up in their cache. The operator package makes these
// indexes in a function that it does not export.
type indexed struct {
	object client.Object
	field  string
	value  func(client.Object) string
}

func addIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	class := func(o client.Object) *v1.NodeClassReference {
		if claim, ok := o.(*v1.NodeClaim); ok {
			return claim.Spec.NodeClassRef
		}
		return o.(*v1.NodePool).Spec.Template.Spec.NodeClassRef
	}
	group := func(o client.Object) string { return class(o).Group }
	kind := func(o client.Object) string { return class(o).Kind }
	name := func(o client.Object) string { return class(o).Name }
	for _, i := range []indexed{
		{&corev1.Pod{}, "spec.nodeName", func(o client.Object) string { return o.(*corev1.Pod).Spec.NodeName }},
		{&corev1.Node{}, "spec.providerID", func(o client.Object) string { return o.(*corev1.Node).Spec.ProviderID }},
		{&storagev1.VolumeAttachment{}, "spec.nodeName", func(o client.Object) string { return o.(*storagev1.VolumeAttachment).Spec.NodeName }},
		{&v1.NodeClaim{}, "status.providerID", func(o client.Object) string { return o.(*v1.NodeClaim).Status.ProviderID }},
		{&v1.NodeClaim{}, "spec.nodeClassRef.group", group},
		{&v1.NodeClaim{}, "spec.nodeClassRef.kind", kind},
		{&v1.NodeClaim{}, "spec.nodeClassRef.name", name},
		{&v1.NodePool{}, "spec.template.spec.nodeClassRef.group", group},
		{&v1.NodePool{}, "spec.template.spec.nodeClassRef.kind", kind},
		{&v1.NodePool{}, "spec.template.spec.nodeClassRef.name", name},
	} {
		value := func(o client.Object) []string { return []string{i.value(o)} }
		if err := indexer.IndexField(ctx, i.object, i.field, value); err != nil {
			return err
		}
	}
	return nil
}
