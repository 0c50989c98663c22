// cronvectors writes what robfig/cron v3, which Kubernetes reads schedules with, makes of some thousand patterns.
//
// The first line holds the start instants by name. Every further line holds a pattern and one of three: the error of
// ParseStandard; the interval of an @every; or, for each start instant of the name in "from", the next six times: the
// first in minutes after the start's own minute, the others in minutes after the one before. Fewer than six: robfig
// finds no more within five years.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"
	_ "time/tzdata" // the same rules on every machine

	"github.com/robfig/cron/v3"
)

// starts are instants before and inside what makes calendars hard: leap days, turns of the year, clock changes.
var starts = map[string][]string{
	"calendar": {"2026-11-24T15:04:37Z", "2028-02-28T23:59:00Z", "2031-12-31T23:59:59.5Z"},
	// 2027-03-14 02:00 becomes 03:00 at 07:00Z; 2027-11-07 02:00 becomes 01:00 at 06:00Z.
	"America/New_York": {"2027-03-13T06:00:00Z", "2027-03-14T06:40:00Z", "2027-11-06T04:50:00Z", "2027-11-07T05:20:00Z", "2027-11-07T06:30:00Z"},
	// 2027-03-28 02:00 becomes 03:00 at 01:00Z; 2027-10-31 03:00 becomes 02:00 at 01:00Z.
	"Europe/Berlin": {"2027-03-27T00:00:00Z", "2027-03-28T00:40:00Z", "2027-10-29T23:50:00Z", "2027-10-31T00:20:00Z", "2027-10-31T01:30:00Z"},
	// 2027-04-04 03:00 becomes 02:00 at 16:00Z the day before; 2027-10-03 02:00 becomes 03:00 at 16:00Z the day before.
	"Australia/Sydney": {"2027-04-02T14:00:00Z", "2027-04-03T15:20:00Z", "2027-04-03T16:30:00Z", "2027-10-01T15:00:00Z", "2027-10-02T15:40:00Z"},
}

type verdict struct {
	Pattern string    `json:"pattern"`
	Error   string    `json:"error,omitempty"`
	Every   string    `json:"every,omitempty"`
	From    string    `json:"from,omitempty"`
	Next    [][]int64 `json:"next,omitempty"`
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	err := lines.Encode(map[string]any{"starts": starts})
	seen := map[string]bool{}
	for _, p := range patterns() {
		if err == nil && !seen[p.text+p.from] {
			seen[p.text+p.from] = true
			err = lines.Encode(judge(p))
		}
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cronvectors:", err)
		os.Exit(1)
	}
}

func judge(p pattern) verdict {
	schedule, err := parse(p.text)
	if err != nil {
		return verdict{Pattern: p.text, Error: err.Error()}
	}
	if constant, ok := schedule.(cron.ConstantDelaySchedule); ok {
		return verdict{Pattern: p.text, Every: constant.Delay.String()}
	}
	v := verdict{Pattern: p.text, From: p.from}
	for _, start := range starts[p.from] {
		at, err := time.Parse(time.RFC3339Nano, start)
		if err != nil {
			panic(err)
		}
		next, minute := []int64{}, at.Truncate(time.Minute)
		for range 6 {
			at = schedule.Next(at)
			if at.IsZero() {
				break
			}
			next = append(next, int64(at.Sub(minute)/time.Minute))
			minute = at
		}
		v.Next = append(v.Next, next)
	}
	return v
}

// parse turns into an error what is one in effect: version 3.0.1 panics on a zone prefix without a blank behind it.
func parse(text string) (s cron.Schedule, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return cron.ParseStandard(text)
}
