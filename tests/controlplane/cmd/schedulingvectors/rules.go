package main

import (
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// neighbours asks for pods to be near, and to be far from.
func neighbours(l *lot, spec *v1.PodSpec) {
	if spec.Affinity == nil {
		spec.Affinity = &v1.Affinity{}
	}
	if l.in(40) {
		spec.Affinity.PodAffinity = &v1.PodAffinity{}
		for range pick(l, 1, 1, 2) {
			list := &spec.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution
			*list = append(*list, near(l))
		}
	}
	if l.in(50) {
		spec.Affinity.PodAntiAffinity = &v1.PodAntiAffinity{}
		for range pick(l, 1, 1, 2) {
			list := &spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution
			*list = append(*list, near(l))
		}
	}
}

func near(l *lot) v1.PodAffinityTerm {
	term := v1.PodAffinityTerm{TopologyKey: pick(l, v1.LabelHostname, v1.LabelHostname, zone, zone, rack, "example.com/absent"), LabelSelector: selector(l)}
	if l.in(20) {
		term.Namespaces = []string{pick(l, "shop", "pay", "gone")}
	}
	if l.in(25) {
		term.NamespaceSelector = pick(l, &metav1.LabelSelector{}, &metav1.LabelSelector{MatchLabels: map[string]string{"team": "red"}},
			&metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "stage", Operator: metav1.LabelSelectorOpDoesNotExist}}},
			&metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": "pay"}})
	}
	if term.LabelSelector != nil && l.in(20) {
		term.MatchLabelKeys = []string{"version"}
	}
	if term.LabelSelector != nil && l.in(10) {
		term.MismatchLabelKeys = []string{"tier"}
	}
	return term
}

// selector is nil (nobody), empty (everybody), or asks for labels.
func selector(l *lot) *metav1.LabelSelector {
	if l.in(6) {
		return nil
	}
	one := &metav1.LabelSelector{}
	if l.in(70) {
		one.MatchLabels = map[string]string{"app": pick(l, "a", "b", "c")}
	}
	if l.in(35) {
		asks := metav1.LabelSelectorRequirement{Key: pick(l, "tier", "version", "app"),
			Operator: pick(l, metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn, metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist)}
		if asks.Operator == metav1.LabelSelectorOpIn || asks.Operator == metav1.LabelSelectorOpNotIn {
			asks.Values = []string{pick(l, "web", "1", "a", ""), pick(l, "db", "2", "b")}
		}
		one.MatchExpressions = []metav1.LabelSelectorRequirement{asks}
	}
	return one
}

// spreads asks for pods to be spread over labels of nodes.
func spreads(l *lot, spec *v1.PodSpec) {
	seen := map[string]bool{}
	for range pick(l, 1, 1, 1, 2, 2, 3) {
		one := v1.TopologySpreadConstraint{MaxSkew: int32(pick(l, 1, 1, 1, 2, 3)), TopologyKey: pick(l, zone, zone, zone, v1.LabelHostname, v1.LabelHostname, rack, rack, "example.com/absent"),
			WhenUnsatisfiable: pick(l, v1.DoNotSchedule, v1.DoNotSchedule, v1.DoNotSchedule, v1.ScheduleAnyway), LabelSelector: selector(l)}
		if seen[one.TopologyKey] {
			continue
		}
		seen[one.TopologyKey] = true
		if one.WhenUnsatisfiable == v1.DoNotSchedule && l.in(30) {
			least := int32(1 + l.IntN(5))
			one.MinDomains = &least
		}
		honor, ignore := v1.NodeInclusionPolicyHonor, v1.NodeInclusionPolicyIgnore
		if l.in(35) {
			one.NodeAffinityPolicy = pick(l, &honor, &ignore)
		}
		if l.in(40) {
			one.NodeTaintsPolicy = pick(l, &honor, &ignore)
		}
		if one.LabelSelector != nil && l.in(25) {
			one.MatchLabelKeys = []string{"version"}
		}
		spec.TopologySpreadConstraints = append(spec.TopologySpreadConstraints, one)
	}
}
