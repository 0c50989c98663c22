package main

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// pod makes one that an API server takes.
func (c *cluster) pod(l *lot, about theme, name string) (*v1.Pod, error) {
	var refused error
	for range 200 {
		pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: pick(l, "shop", "shop", "pay", "lab")}}
		pod.Labels = map[string]string{}
		labels(l, pod.Labels)
		pod.Spec.Containers = []v1.Container{{Name: "main", Image: "i"}}
		is := func(one theme) bool { return about == one || (about == all && l.in(35)) }
		if is(places) {
			c.place(l, &pod.Spec)
		}
		if is(spread) && l.in(30) {
			c.place(l, &pod.Spec)
		}
		if is(amounts) {
			demands(l, &pod.Spec)
		}
		if is(ports) {
			bindings(l, &pod.Spec)
		}
		if is(company) {
			neighbours(l, &pod.Spec)
		}
		if is(spread) {
			spreads(l, &pod.Spec)
		}
		if is(disks) {
			c.mount(l, pod)
		}
		stored, err := admitted(pod)
		if err == nil {
			return stored, nil
		}
		refused = err
	}
	return nil, fmt.Errorf("no pod that the API server takes in 200: %w", refused)
}

func labels(l *lot, to map[string]string) {
	if l.in(90) {
		to["app"] = pick(l, "a", "b", "c")
	}
	if l.in(50) {
		to["tier"] = pick(l, "web", "db", "")
	}
	if l.in(50) {
		to["version"] = pick(l, "1", "2")
	}
}

// place asks for nodes by their labels, names and taints.
func (c *cluster) place(l *lot, spec *v1.PodSpec) {
	if l.in(25) {
		spec.NodeSelector = map[string]string{pick(l, zone, disk, rack, v1.LabelArchStable): pick(l, "eu-west-1a", "ssd", "", "r1", "amd64")}
	}
	if l.in(55) {
		required := &v1.NodeSelector{}
		for range 1 + l.IntN(3) {
			required.NodeSelectorTerms = append(required.NodeSelectorTerms, c.term(l))
		}
		spec.Affinity = &v1.Affinity{NodeAffinity: &v1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: required}}
	}
	for range l.IntN(4) {
		spec.Tolerations = append(spec.Tolerations, toleration(l))
	}
}

func (c *cluster) term(l *lot) v1.NodeSelectorTerm {
	var term v1.NodeSelectorTerm
	for range pick(l, 0, 1, 1, 1, 2, 2) {
		one := v1.NodeSelectorRequirement{Key: pick(l, zone, disk, rack, cores, v1.LabelArchStable, "example.com/absent"),
			Operator: pick(l, v1.NodeSelectorOpIn, v1.NodeSelectorOpNotIn, v1.NodeSelectorOpExists, v1.NodeSelectorOpDoesNotExist)}
		if one.Operator == v1.NodeSelectorOpIn || one.Operator == v1.NodeSelectorOpNotIn {
			for range 1 + l.IntN(3) {
				one.Values = append(one.Values, pick(l, "eu-west-1a", "eu-west-1b", "ssd", "hdd", "", "r0", "r1", "4", "8", "amd64"))
			}
		}
		if l.in(25) {
			one = v1.NodeSelectorRequirement{Key: cores, Operator: pick(l, v1.NodeSelectorOpGt, v1.NodeSelectorOpLt),
				Values: []string{pick(l, "4", "0", "8", "-5", "+4", "007", "9223372036854775806", "99999999999999999999", "four", "4.0")}}
		}
		term.MatchExpressions = append(term.MatchExpressions, one)
	}
	if l.in(15) {
		term.MatchFields = []v1.NodeSelectorRequirement{{Key: metav1.ObjectNameField,
			Operator: pick(l, v1.NodeSelectorOpIn, v1.NodeSelectorOpNotIn), Values: []string{pick(l, c.nodes...).Name}}}
	}
	return term
}

func toleration(l *lot) v1.Toleration {
	one := v1.Toleration{Key: pick(l, "dedicated", "gpu", "node.kubernetes.io/unreachable", "node.kubernetes.io/unschedulable", "example.com/old", ""),
		Operator: pick(l, "", v1.TolerationOpExists, v1.TolerationOpExists, v1.TolerationOpEqual),
		Effect:   pick(l, "", "", v1.TaintEffectNoSchedule, v1.TaintEffectNoExecute, v1.TaintEffectNoExecute, v1.TaintEffectPreferNoSchedule)}
	if one.Operator != v1.TolerationOpExists {
		one.Value = pick(l, "", "a", "b")
	}
	if one.Effect == v1.TaintEffectNoExecute && l.in(70) {
		seconds := int64(pick(l, 0, 300))
		one.TolerationSeconds = &seconds
	}
	return one
}

// demands asks for amounts: of containers, init containers, sidecars, the pod as a whole, and overhead.
func demands(l *lot, spec *v1.PodSpec) {
	spec.Containers = nil
	for at := range 1 + l.IntN(3) {
		spec.Containers = append(spec.Containers, container(l, fmt.Sprintf("c%d", at)))
	}
	for at := range pick(l, 0, 0, 1, 2, 3) {
		init := container(l, fmt.Sprintf("i%d", at))
		if l.in(45) {
			always := v1.ContainerRestartPolicyAlways
			init.RestartPolicy = &always
		}
		spec.InitContainers = append(spec.InitContainers, init)
	}
	if l.in(20) {
		spec.Overhead = v1.ResourceList{v1.ResourceCPU: resource.MustParse(pick(l, "250m", "0", "10m")), v1.ResourceMemory: resource.MustParse("120Mi")}
	}
	if l.in(25) {
		spec.Resources = &v1.ResourceRequirements{}
		whole := v1.ResourceList{}
		if l.in(70) {
			whole[v1.ResourceCPU] = resource.MustParse(pick(l, "1", "3", "4500m", "7"))
		}
		if l.in(70) {
			whole[v1.ResourceMemory] = resource.MustParse(pick(l, "2Gi", "5Gi", "9Gi"))
		}
		if l.in(50) {
			spec.Resources.Limits = whole
		} else {
			spec.Resources.Requests = whole
		}
	}
}

func container(l *lot, name string) v1.Container {
	one := v1.Container{Name: name, Image: "i"}
	requests, limits := v1.ResourceList{}, v1.ResourceList{}
	for key, texts := range [][]string{{"100m", "0", "1", "1500m", "0.0005", "250m", "2"}, {"128Mi", "0", "1Gi", "1e9", "2560M", "3Gi", "1500m"}, {"1Gi", "100Mi", "8Gi"}} {
		name := []v1.ResourceName{v1.ResourceCPU, v1.ResourceMemory, v1.ResourceEphemeralStorage}[key]
		chance := []int{75, 75, 15}[key]
		if !l.in(chance) {
			continue
		}
		switch amount := resource.MustParse(pick(l, texts...)); l.IntN(3) {
		case 0:
			requests[name] = amount
		case 1:
			limits[name] = amount
		default:
			requests[name], limits[name] = amount, amount
		}
	}
	if l.in(15) {
		limits[gpu] = resource.MustParse(pick(l, "0", "1", "2"))
	}
	if l.in(12) {
		pages := resource.MustParse(pick(l, "0", "4Mi", "64Mi"))
		requests["hugepages-2Mi"], limits["hugepages-2Mi"] = pages, pages
	}
	one.Resources = v1.ResourceRequirements{Requests: requests, Limits: limits}
	return one
}

// resize is a running pod whose resources are changed in place: of its containers and sidecars.
func resize(l *lot, pod *v1.Pod) {
	held := func(one v1.Container) v1.ContainerStatus {
		held := v1.ResourceList{}
		for _, name := range []v1.ResourceName{v1.ResourceCPU, v1.ResourceMemory} {
			if _, asked := one.Resources.Requests[name]; asked {
				held[name] = map[v1.ResourceName]resource.Quantity{
					v1.ResourceCPU:    resource.MustParse(pick(l, "1", "100m", "3")),
					v1.ResourceMemory: resource.MustParse(pick(l, "2Gi", "100Mi", "1")),
				}[name]
			}
		}
		status := v1.ContainerStatus{Name: one.Name, AllocatedResources: held}
		if l.in(80) {
			status.Resources = &v1.ResourceRequirements{Requests: held.DeepCopy()}
		}
		return status
	}
	for _, one := range pod.Spec.Containers {
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, held(one))
	}
	for _, one := range pod.Spec.InitContainers {
		pod.Status.InitContainerStatuses = append(pod.Status.InitContainerStatuses, held(one))
	}
	if l.in(50) {
		pod.Status.Conditions = []v1.PodCondition{{Type: v1.PodResizePending, Status: v1.ConditionTrue,
			Reason: pick(l, v1.PodReasonInfeasible, v1.PodReasonDeferred)}}
	}
}

// bindings asks for ports of the node.
func bindings(l *lot, spec *v1.PodSpec) {
	port := func() []v1.ContainerPort {
		number := pick(l, int32(80), 443, 8080)
		return []v1.ContainerPort{{ContainerPort: number, HostPort: pick(l, number, number, number, 0),
			HostIP: pick(l, "", "", "0.0.0.0", "10.0.0.1", "10.0.0.2", "127.0.0.1", "::"), Protocol: pick(l, "", v1.ProtocolTCP, v1.ProtocolUDP, v1.ProtocolSCTP)}}
	}
	spec.HostNetwork = l.in(15)
	spec.Containers[0].Ports = port()
	if l.in(50) {
		spec.Containers = append(spec.Containers, v1.Container{Name: "beside", Image: "i", Ports: port()})
	}
	if l.in(30) {
		init := v1.Container{Name: "before", Image: "i", Ports: port()}
		if l.in(50) {
			always := v1.ContainerRestartPolicyAlways
			init.RestartPolicy = &always
		}
		spec.InitContainers = []v1.Container{init}
	}
}
