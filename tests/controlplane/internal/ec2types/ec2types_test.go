package ec2types

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestAnM5LargeHasTheAllocatableResourcesThatKarpenterDocuments(t *testing.T) {
	converted, err := Convert(Default)
	if err != nil {
		t.Fatal(err)
	}
	var types []instanceType
	if err := json.Unmarshal(converted, &types); err != nil {
		t.Fatal(err)
	}
	for _, it := range types {
		if it.Name != "m5.large" {
			continue
		}
		// 1930m and 6903Mi, and what the provider takes off.
		if it.Resources["cpu"] != "2030m" || it.Resources["memory"] != "6913Mi" || it.Resources["pods"] != "29" || it.Offerings[0].Price != 0.096 || len(it.Offerings) != 3 {
			t.Errorf("%+v", it)
		}
		return
	}
	t.Error("no m5.large")
}

func TestAMistakeInTheTableIsNamed(t *testing.T) {
	header := strings.Join(columns, ",") + "\n"
	for _, c := range []struct{ table, want string }{
		{"", "the first line must be"},
		{"name,price\n", "the first line must be"},
		{header, "no row of region us-east-1"},
		{header + "m5.large,eu-west-1,2,8192,amd64,29,0,,0.1\n", "no row of region us-east-1"},
		{header + "m5,us-east-1,2,8192,amd64,29,0,,0.1\n", "line 2 (m5): a name is family.size"},
		{header + "m5.large,us-east-1,two,8192,amd64,29,0,,0.1\n", "line 2 (m5.large): vcpu"},
		{header + "m5.large,us-east-1,2,8192,amd64,29,0,,free\n", `on_demand_usd_hour: "free" is not a price`},
	} {
		if _, err := Convert([]byte(c.table)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %q", c.table, err, c.want)
		}
	}
}
