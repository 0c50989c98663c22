package main

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

const (
	ebs    = "ebs.csi.aws.com"
	shared = "efs.csi.aws.com"
	// The driver's own label of a node's zone. Volumes of the time before drivers are looked for by it.
	ebsZone = "topology.ebs.csi.aws.com/zone"
)

// disks makes the volumes of a cluster: bound, of a driver or of the time before drivers, tied to places or to none; and what
// each node attaches, where that is known.
func (c *cluster) disks(l *lot, number int) {
	for at := range 14 {
		name := fmt.Sprintf("v%d-%d", number, at)
		volume := &v1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}}
		volume.Spec.Capacity = v1.ResourceList{v1.ResourceStorage: resource.MustParse("8Gi")}
		volume.Spec.AccessModes = []v1.PersistentVolumeAccessMode{v1.ReadWriteOnce}
		volume.Spec.StorageClassName = "fast"
		c.source(l, volume)
		space := pick(l, "shop", "shop", "pay", "lab")
		claim := &v1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: space}}
		claim.Spec.VolumeName, claim.Spec.StorageClassName = name, &volume.Spec.StorageClassName
		claim.Spec.AccessModes = volume.Spec.AccessModes
		claim.Annotations = map[string]string{"pv.kubernetes.io/bind-completed": "yes"}
		claim.Status.Phase = v1.ClaimBound
		volume.Spec.ClaimRef = &v1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: space, Name: name}
		c.volumes, c.claims = append(c.volumes, volume), append(c.claims, claim)
	}
	for _, node := range c.nodes {
		if l.in(15) {
			continue
		}
		about := &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: node.Name}}
		for _, driver := range []string{ebs, shared} {
			if l.in(70) {
				one := storagev1.CSINodeDriver{Name: driver, NodeID: node.Name}
				if l.in(75) {
					count := int32(pick(l, 1, 2, 3, 25))
					one.Allocatable = &storagev1.VolumeNodeResources{Count: &count}
				}
				about.Spec.Drivers = append(about.Spec.Drivers, one)
				if driver == ebs {
					about.Annotations = map[string]string{v1.MigratedPluginsAnnotationKey: "kubernetes.io/aws-ebs"}
				}
				if in, zoned := node.Labels[zone]; zoned && driver == ebs {
					node.Labels[ebsZone] = in // as the driver does
				}
			}
		}
		c.csiNodes = append(c.csiNodes, about)
	}
}

// source is what a volume is, and where it can be reached.
func (c *cluster) source(l *lot, volume *v1.PersistentVolume) {
	spec := &volume.Spec
	inZone := func(values ...string) *v1.VolumeNodeAffinity {
		asks := v1.NodeSelectorRequirement{Key: zone, Operator: v1.NodeSelectorOpIn, Values: values}
		return &v1.VolumeNodeAffinity{Required: &v1.NodeSelector{NodeSelectorTerms: []v1.NodeSelectorTerm{{MatchExpressions: []v1.NodeSelectorRequirement{asks}}}}}
	}
	first := pick(l, "eu-west-1a", "eu-west-1b")
	switch l.IntN(6) {
	case 0, 1:
		spec.CSI = &v1.CSIPersistentVolumeSource{Driver: ebs, VolumeHandle: volume.Name}
		spec.NodeAffinity = inZone(first)
	case 2:
		spec.CSI = &v1.CSIPersistentVolumeSource{Driver: shared, VolumeHandle: volume.Name}
	case 3:
		spec.AWSElasticBlockStore = &v1.AWSElasticBlockStoreVolumeSource{VolumeID: volume.Name}
		volume.Labels = map[string]string{zone: pick(l, first, "eu-west-1a__eu-west-1b"), region: "eu-west-1"}
	case 4:
		spec.CSI = &v1.CSIPersistentVolumeSource{Driver: ebs, VolumeHandle: volume.Name}
		spec.NodeAffinity = inZone("eu-west-1a", "eu-west-1b")
		volume.Labels = map[string]string{v1.LabelFailureDomainBetaZone: first}
	default:
		spec.Local = &v1.LocalVolumeSource{Path: "/mnt"}
		asks := v1.NodeSelectorRequirement{Key: v1.LabelHostname, Operator: v1.NodeSelectorOpIn, Values: []string{pick(l, c.nodes...).Name}}
		spec.NodeAffinity = &v1.VolumeNodeAffinity{Required: &v1.NodeSelector{NodeSelectorTerms: []v1.NodeSelectorTerm{{MatchExpressions: []v1.NodeSelectorRequirement{asks}}}}}
	}
}

// mount gives a pod volumes of its namespace; now and then one that is not there.
func (c *cluster) mount(l *lot, pod *v1.Pod) {
	for at := range pick(l, 0, 1, 1, 2, 3) {
		claim := pick(l, c.claims...)
		if claim.Namespace != pod.Namespace {
			continue
		}
		name := claim.Name
		if l.in(4) {
			name = "gone"
		}
		source := v1.VolumeSource{PersistentVolumeClaim: &v1.PersistentVolumeClaimVolumeSource{ClaimName: name}}
		pod.Spec.Volumes = append(pod.Spec.Volumes, v1.Volume{Name: fmt.Sprintf("d%d", at), VolumeSource: source})
	}
}

// storage is every object beside nodes and pods.
func (c *cluster) storage() []runtime.Object {
	var list []runtime.Object
	for _, one := range c.volumes {
		list = append(list, one)
	}
	for _, one := range c.claims {
		list = append(list, one)
	}
	for _, one := range c.csiNodes {
		list = append(list, one)
	}
	return list
}
