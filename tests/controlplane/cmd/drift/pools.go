package main

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	kwokapis "sigs.k8s.io/karpenter/kwok/apis"
	kwok "sigs.k8s.io/karpenter/kwok/apis/v1alpha1"
	karpenter "sigs.k8s.io/karpenter/pkg/apis/v1"
)

// cluster is the one that drifts.
type cluster struct{ client.Client }

// pools are a NodePool's families: those the nodes are made of, and those it allows in the end.
var pools = map[string]struct{ first, later []string }{
	"general": {first: []string{"c5", "m5"}, later: []string{"c5", "c6i", "m5", "m6a", "m6i", "t3a"}},
	"memory":  {first: []string{"r5"}, later: []string{"m6a", "r5", "r6i"}},
}

func (c *cluster) createPools(ctx context.Context) error {
	class := &kwok.KWOKNodeClass{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	if err := c.Create(ctx, class); err != nil {
		return err
	}
	for name, families := range pools {
		pool := &karpenter.NodePool{ObjectMeta: metav1.ObjectMeta{
			Name: name,
			// Kentroller may consolidate what Karpenter is told below to leave alone.
			Annotations: map[string]string{"kentroller.cast.ai/consolidation": "include"},
		}}
		pool.Spec.Disruption = karpenter.Disruption{
			ConsolidationPolicy: karpenter.ConsolidationPolicyWhenEmptyOrUnderutilized,
			ConsolidateAfter:    karpenter.MustParseNillableDuration("Never"),
		}
		pool.Spec.Template.Spec = karpenter.NodeClaimTemplateSpec{
			NodeClassRef: &karpenter.NodeClassReference{Group: kwokapis.Group, Kind: "KWOKNodeClass", Name: class.Name},
			ExpireAfter:  karpenter.MustParseNillableDuration("Never"),
			Requirements: requirements(families.first),
		}
		if err := c.Create(ctx, pool); err != nil {
			return err
		}
	}
	return nil
}

// widenPools allows the later families. Nodes that are there still meet the requirements, so none counts as drifted to Karpenter.
func (c *cluster) widenPools(ctx context.Context) error {
	for name, families := range pools {
		var pool karpenter.NodePool
		if err := c.Get(ctx, client.ObjectKey{Name: name}, &pool); err != nil {
			return err
		}
		before := pool.DeepCopy()
		pool.Spec.Template.Spec.Requirements = requirements(families.later)
		if err := c.Patch(ctx, &pool, client.MergeFrom(before)); err != nil {
			return err
		}
	}
	return nil
}

func requirements(families []string) []karpenter.NodeSelectorRequirementWithMinValues {
	in := func(key string, values ...string) karpenter.NodeSelectorRequirementWithMinValues {
		return karpenter.NodeSelectorRequirementWithMinValues{Key: key, Operator: corev1.NodeSelectorOpIn, Values: values}
	}
	return []karpenter.NodeSelectorRequirementWithMinValues{
		in(karpenter.CapacityTypeLabelKey, karpenter.CapacityTypeOnDemand),
		in(corev1.LabelArchStable, "amd64"),
		in("karpenter.k8s.aws/instance-family", families...),
		in("karpenter.k8s.aws/instance-size", "large", "xlarge", "2xlarge"),
	}
}
