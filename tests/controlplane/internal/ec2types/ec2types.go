// Package ec2types turns a table of EC2 instance types into the file that Karpenter's kwok provider reads its
// instance types from, so that families and sizes differ there as they do on AWS.
package ec2types

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"

	corev1 "k8s.io/api/core/v1"
)

// Default is a table of general purpose, compute and memory types.
//
// Sizes and pod limits come from the instance type pages of aws/karpenter-provider-aws (commit 1d927085dd81,
// website/content/en/docs/reference/instance-types.md), prices from its pkg/providers/pricing/zz_generated.pricing_aws.go
// (us-east-1, on-demand, Linux, USD per hour).
//
//go:embed ec2-types.csv
var Default []byte

var zones = []string{"us-east-1a", "us-east-1b", "us-east-1c"}

// What the kwok provider takes off a type's resources to get the node's allocatable ones.
const (
	reservedMilliCPU  = 100
	reservedMemoryMiB = 10
)

// instanceType and offering are the kwok provider's own format; its Go types do not marshal into what they read.
type instanceType struct {
	Name             string            `json:"name"`
	Architecture     string            `json:"architecture"`
	OperatingSystems []string          `json:"operatingSystems"`
	Resources        map[string]string `json:"resources"`
	Offerings        []offering        `json:"offerings"`
}

type offering struct {
	Price        float64
	Available    bool
	Requirements []corev1.NodeSelectorRequirement
}

var columns = []string{"instance_type", "region", "vcpu", "memory_mib", "arch", "max_pods", "gpu_count", "gpu_name", "on_demand_usd_hour"}

var nameParts = regexp.MustCompile(`^(([a-z]+)(\d+)[a-z0-9-]*)\.([a-z0-9-]+)$`)

// Convert turns a table with a header line into the provider's JSON. Rows of another region than us-east-1 are left out.
func Convert(table []byte) ([]byte, error) {
	rows, err := csv.NewReader(bytes.NewReader(table)).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 || fmt.Sprint(rows[0]) != fmt.Sprint(columns) {
		return nil, fmt.Errorf("instance types: the first line must be %v", columns)
	}
	var types []instanceType
	for i, row := range rows[1:] {
		if row[1] != "us-east-1" {
			continue
		}
		t, err := parse(row)
		if err != nil {
			return nil, fmt.Errorf("instance types, line %d (%s): %w", i+2, row[0], err)
		}
		types = append(types, t)
	}
	if len(types) == 0 {
		return nil, fmt.Errorf("instance types: no row of region us-east-1")
	}
	return json.Marshal(types)
}

func parse(row []string) (instanceType, error) {
	name := nameParts.FindStringSubmatch(row[0])
	if name == nil {
		return instanceType{}, fmt.Errorf("a name is family.size, as in m5.large")
	}
	var number [4]int
	for i, column := range []int{2, 3, 5, 6} {
		n, err := strconv.Atoi(row[column])
		if err != nil {
			return instanceType{}, fmt.Errorf("%s: %w", columns[column], err)
		}
		number[i] = n
	}
	cpus, memoryMiB, pods, gpus := number[0], number[1], number[2], number[3]
	price, err := strconv.ParseFloat(row[8], 64)
	if err != nil || price <= 0 {
		return instanceType{}, fmt.Errorf("%s: %q is not a price", columns[8], row[8])
	}
	labels := [][2]string{
		{"category", name[2]}, {"generation", name[3]}, {"family", name[1]}, {"size", name[4]},
		{"cpu", row[2]}, {"memory", row[3]}, {"hypervisor", "nitro"},
	}
	t := instanceType{
		Name: row[0], Architecture: row[4], OperatingSystems: []string{"linux"},
		Resources: map[string]string{
			"cpu":               fmt.Sprintf("%dm", allocatableMilliCPU(cpus)+reservedMilliCPU),
			"memory":            fmt.Sprintf("%dMi", allocatableMiB(memoryMiB, pods, row[4])+reservedMemoryMiB),
			"pods":              row[5],
			"ephemeral-storage": "20Gi",
		},
	}
	if gpus > 0 {
		t.Resources["nvidia.com/gpu"] = row[6]
		labels = append(labels, [2]string{"gpu-count", row[6]}, [2]string{"gpu-name", row[7]}, [2]string{"gpu-manufacturer", "nvidia"})
	}
	for _, zone := range zones {
		requirements := []corev1.NodeSelectorRequirement{
			in("karpenter.sh/capacity-type", "on-demand"), in(corev1.LabelTopologyZone, zone), in(corev1.LabelTopologyRegion, row[1]),
		}
		for _, l := range labels {
			requirements = append(requirements, in("karpenter.k8s.aws/instance-"+l[0], l[1]))
		}
		t.Offerings = append(t.Offerings, offering{Price: price, Available: true, Requirements: requirements})
	}
	return t, nil
}

func in(key, value string) corev1.NodeSelectorRequirement {
	return corev1.NodeSelectorRequirement{Key: key, Operator: corev1.NodeSelectorOpIn, Values: []string{value}}
}

// allocatableMilliCPU is Karpenter's estimate for AL2023: less 6 % of the first core, 1 % of the second, 0.5 % of the
// next two and 0.25 % of the others.
func allocatableMilliCPU(cpus int) int {
	reserved := 60 + 10*min(cpus-1, 1) + 5*max(min(cpus-2, 2), 0) + max(cpus-4, 0)*5/2
	return 1000*cpus - reserved
}

// allocatableMiB is Karpenter's estimate for AL2023: less 7.5 % for the hypervisor, 11 MiB a pod and 255 for the kubelet,
// 100 before it evicts; arm64 machines report 64 less to begin with.
func allocatableMiB(memory, pods int, architecture string) int {
	if architecture == "arm64" {
		memory -= 64
	}
	return memory - (memory*75+999)/1000 - (11*pods + 255) - 100
}
