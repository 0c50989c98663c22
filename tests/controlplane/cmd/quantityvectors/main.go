// quantityvectors writes what k8s.io/apimachinery makes of some thousand quantities.
//
// Each line holds a string and either the error of resource.ParseQuantity or its whole value and its value in
// thousandths, both rounded away from zero and capped as Value() and MilliValue() do it, and its canonical form.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

type verdict struct {
	Text      string `json:"text"`
	Error     string `json:"error,omitempty"`
	Value     *int64 `json:"value,omitempty"`
	Milli     *int64 `json:"milli,omitempty"`
	Canonical string `json:"canonical,omitempty"`
}

func judge(text string) verdict {
	q, err := resource.ParseQuantity(text)
	if err != nil {
		return verdict{Text: text, Error: err.Error()}
	}
	value, milli := q.Value(), q.MilliValue()
	return verdict{Text: text, Value: &value, Milli: &milli, Canonical: q.String()}
}

var numbers = strings.Fields(`
	0 1 2 5 9 10 15 64 99 100 128 250 500 512 999 1000 1001 1023 1024 1025 1500 1536 2048 3900 16384 999999 1000000 1048576 123456789 999999999999
	9007199254740993 9223372036854775 9223372036854776 9223372036854775807 9223372036854775808 18446744073709551616 1000000000000000000000
	0.1 0.3 0.5 0.25 0.125 1.5 1.25 2.5 3.14159 0.001 0.0001 0.0005 0.0000000001 1.0000000001 1.9999999999 999.999 1023.9 0.9995 1.0 1.50 10.00 .5 5. 00012 007.5 0.000
	-1 -5 -100 -1.5 -0.5 -0 -0.0001 -9223372036854775808 -1024 +1 +0.5 +100 + - . +. -.5 -5.
`)

var suffixes = strings.Split(
	",n,u,m,k,M,G,T,P,E,Ki,Mi,Gi,Ti,Pi,Ei,e3,E3,e-3,E-3,e6,e+3,E+06,e9,e18,e19,e-9,E-9,e-10,e10,e0,e01,e1.5,e,E+,K,KB,Kib,ki,mi,gi,MB,MI,i,mm,Mm,Z,Y,Zi,Yi,µ, ,_,%,x", ",")

var whole = []string{
	"", " ", " 1", "1 ", "1 Gi", "\t1", "1\n", "1,5", "1,000", "1..5", "1.2.3", "--1", "+-1", "-+1", "0x10", "0b1", "NaN", "Inf", "-Inf", "inf", "１", "1_000", "m", "Ki", "-m", "+Ki", "e3", "E",
	"1e3e3", "1Ee", "1E6i", "1e6Ki", "1e-", "1e+", "1m1", "1Gi1", "Gi1", "one", "1/2", "½", "1'000", "1e40", "1e-40", "1e99999999999", "null", "\"1\"",
	"0.5Gi", "0.1Ki", "0.001Ki", "0.0001Mi", "1.5Ei", "7.9Ei", "8Ei", "9.3E", "7Ei", "-8Ei", "-7Ei", "9223372036854775807m", "9223372036854775808m", "0.9n", "1.1n", "0.1u", "1n", "999n", "1000n", "1001n",
	strings.Repeat("9", 60), "0." + strings.Repeat("0", 40) + "1", strings.Repeat("0", 50) + "1", "1" + strings.Repeat("0", 40) + "n",
}

func texts() []string {
	all := append([]string{}, whole...)
	for _, n := range numbers {
		for _, s := range suffixes {
			all = append(all, n+s)
		}
	}
	// What pods and nodes carry.
	for cpu := 1; cpu <= 4000; cpu += 37 {
		all = append(all, fmt.Sprintf("%dm", cpu), fmt.Sprintf("%d.%03d", cpu/1000, cpu%1000))
	}
	for memory := 1; memory <= 800_000; memory = memory*5/4 + 1 {
		all = append(all, fmt.Sprintf("%dMi", memory), fmt.Sprintf("%dKi", memory*1024-7), fmt.Sprintf("%dM", memory), fmt.Sprint(memory*1_048_576), fmt.Sprintf("%d.5Gi", memory%512))
	}
	return all
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	var err error
	seen := map[string]bool{}
	for _, text := range texts() {
		if err == nil && !seen[text] {
			seen[text] = true
			err = lines.Encode(judge(text))
		}
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "quantityvectors:", err)
		os.Exit(1)
	}
}
