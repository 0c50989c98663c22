package main

import (
	"math/rand/v2"
	"strings"
)

// pattern is a schedule and the name of the start instants it is run from.
type pattern struct{ text, from string }

// valid holds, field by field (minute, hour, day of month, month, day of week), what robfig accepts.
var valid = [5][]string{
	{
		"*", "?", "0", "59", "5", "05", "007", "+5", "5,10", "0,15,30,45", "10-20", "10-20/3", "*/15", "*/7", "*/1", "*/59", "*/60", "*/100", "5/15",
		"0/1", "58/3", "?/10", "1-5,50-59", "*,5", "30,*/20", "55-59/10", "7-7", "1,,2", "1,", ",3", "*-5", "*-x-y", "*/+5", "59/59",
	},
	{"*", "?", "0", "23", "9", "8-18", "8-18/2", "*/6", "*/5", "22/1", "3/7", "0,12", "1-3,20-22", "00", "*/24", "?/8", "12-12"},
	{"*", "?", "1", "13", "15", "29", "30", "31", "1,15", "1-7", "28-31", "*/2", "*/10", "10/5", "1-31", "*/31", "31,*", "*/1", "?/3", "1-31/2", "08"},
	{
		"*", "?", "1", "2", "12", "jan", "FEB", "Mar", "apr-jun", "sep-dec/2", "*/3", "2/5", "jan,JUL", "1-12", "4,6,9,11", "feb,apr", "mAy/4", "6-8",
		"jun", "jul", "aug", "oct", "nov",
	},
	{
		"*", "?", "0", "1", "5", "6", "sun", "MON", "Sat", "mon-fri", "1-5", "0,6", "tue,THU", "*/2", "*/3", "1/2", "0-6", "wed-sat/2", "sun-tue", "fri",
		"*/7", "5/7", "*/1", "+5",
	},
}

// invalid holds, field by field, what robfig refuses.
var invalid = [5][]string{
	{"60", "50-60", "61-70", "jan", "sun", "60/5"},
	{"24", "20-24", "mon", "-1", "24/2"},
	{"0", "32", "0-5", "25-32", "0/2", "L", "15W", "LW", "L-3", "W", "sun", "1#1"},
	{"0", "13", "0-3", "11-13", "january", "ja", "mon", "dec-jan", "0/2"},
	{"7", "0-7", "5-7", "8", "5#2", "5L", "sun#1", "monday", "mo", "fri-mon", "jan", "L", "7/2", "sat-sun", "#", "5#L"},
}

// refused anywhere.
var broken = []string{
	"a", "5-", "-5", "5-1", "*/0", "5/", "/5", "1/2/3", "1-2-3", "5.5", "0x5", "99999999999999999999", "-", "/", "**", "*5", "5*", "*/*", "5/*", "*/x", "é",
	"+", "++5", "+-5", "1_0", "５", "H", "H/5", "*/-1", "*/-0", "1--2", "1/0", "1-3/0", "@", "@daily", "%", "1;2", "L", "W", "#", "~", "1~5", "5-+", "!", "1:2", `"5"`,
}

// never can come: robfig reads them, searches five years and finds nothing.
var never = []string{
	"0 0 31 2 *", "0 0 30 2 *", "0 0 30,31 feb ?", "0 0 31 4 *", "0 0 31 4,6,9,11 *", "0 0 31 feb,apr *", "0 0 31 2/2 */1", "0 0 , * *", "0 0 , * ,",
	"0 0 * , *", "0 , * * *",
}

var whole = []string{
	// Macros.
	"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly", "@reboot", "@Daily", "@HOURLY", "@daily ", " @daily", "@", "@every",
	"@every ", "@every 1h30m", "@every 90s", "@every 1d", "@every -5m", "@every 5", "@Every 1h", "@minutely", "@daily @hourly", "@ daily",
	// Number of fields and blanks.
	"", " ", "\t", "*", "* *", "* * *", "* * * *", "* * * * * *", "0 0 0 13 * 5", "* * * * * * *", " * * * * *", "* * * * * ", "*  *   * * *", "*\t*\t*\t*\t*",
	"0 0\n* * *", "0\u00a00\u2003* * *", "*****", "0 0 * * *\r\n", "* * * *, *", "0 0 1, 15 * *", "5 - 10 * * *",
	// Well-known traps.
	"*/30 * * * *", "0 2 * * *", "0 0 * * 6", "0 0 13 * 5", "0 0 13 * *", "0 0 * * 5", "0 0 */2 * 5", "0 0 */1 * 5", "0 0 1-31 * 5", "0 0 13 * */2", "0 0 13 * 0-6",
	"0 0 ? * 5", "0 0 13 * ?", "0 0 ? * ?", "0 0 ,13 * 5", "0 0 , * 5", "0 0 13 * ,", "0 0 29 2 *", "0 0 29 feb 1", "59 23 31 12 *", "0 0 1 1 *", "0 0 31 * *", "0 0 30 * *",
	"0 0 31 1-3 *", "0 0 31 2 1", "0 0 30 2 mon", "0 12 29 2 ?", "0 0 29,30 2 *", "0 0 28-31 2 *", "15 10 ? * 6L", "0 0 12 ? * 2#1", "0 12 1W * *", "0 12 LW * *",
	// Zone prefixes.
	"CRON_TZ=UTC 0 6 * * *", "TZ=UTC 0 6 * * *", "TZ=Europe/Berlin 0 6 * * *", "TZ=America/New_York @daily", "CRON_TZ=Asia/Kolkata 15 6 * * 1-5", "CRON_TZ=Asia/Tokyo @weekly",
	"CRON_TZ=Australia/Sydney 30 2 * * *", "CRON_TZ=America/St_Johns 0 0 1 * *", "CRON_TZ=Europe/London 30 1 * * *", "CRON_TZ=Etc/GMT+5 0 0 * * *", "CRON_TZ=Asia/Kathmandu */20 * * * *",
	"TZ=UTC    0   6 * * *", "CRON_TZ=Mars/Olympus 0 0 * * *", "CRON_TZ=Europe/berlin_ 0 0 * * *", "TZ=PDT 0 0 * * *", "TZ=UTC+1 0 0 * * *", "TZ= 0 0 * * *", "CRON_TZ= @daily", "TZ=+01:00 0 0 * * *", "TZ=../UTC 0 0 * * *",
	"TZ=/etc/localtime 0 0 * * *", "CRON_TZ=UTC", "TZ=UTC", "TZ=", "TZ=UTC ", "TZ=UTC\t0 0 * * *", "tz=UTC 0 0 * * *", "cron_tz=UTC 0 0 * * *", " TZ=UTC 0 0 * * *", "TZ=UTC TZ=UTC 0 0 * * *",
	"CRON_TZ = UTC 0 0 * * *", "TZ=UTC @every 1h", "TZ=UTC @never", "TZ=UTC 60 * * * *", "0 0 * * * TZ=UTC", "0 0 * * * UTC", "CRON_TZ=\"UTC\" 0 0 * * *",
}

// local are times of day that a change of the clock touches; they run under each zone that has starts of its own.
var local = []string{
	"0 * * * *", "*/30 * * * *", "*/20 * * * *", "*/7 * * * *", "59 * * * *", "1/29 * * * *", "0 */2 * * *", "30 */3 * * *", "15 1-3 * * *", "*/40 0-4 * * *", "30 0-23/2 * * *",
	"0 0 * * *", "30 0 * * *", "59 0 * * *", "0 1 * * *", "30 1 * * *", "59 1 * * *", "0 2 * * *", "1 2 * * *", "30 2 * * *", "59 2 * * *", "0 3 * * *", "30 3 * * *", "59 3 * * *", "0 4 * * *",
	"30 1,2 * * *", "30 1,3 * * *", "0,30 2 * * *", "0 2,3 * * *", "*/15 2 * * *", "*/15 1 * * *", "*/15 3 * * *", "59 23 * * *", "0 23 * * *", "0 12 * * *",
	"30 2 14 3 *", "30 2 28 3 *", "30 1 7 11 *", "30 2 31 10 *", "30 2 4 4 *", "30 2 3 10 *", "30 2 8-14 3 sun", "30 2 * 3 0", "30 2 * * sun", "30 1 * 11 sun", "30 2 * 10 sun", "0 0 14 3 *", "0 0 7 11 *", "0 0 1 * *", "30 2 1 * *",
	"0 3 14 3 *", "0 3 28 3 *", "* 2 * * *", "* 1 * * 0", "* 2 * 3 0", "0 5 * * 1", "@daily", "@hourly", "@midnight", "@weekly", "@monthly", "@yearly",
	"5-10/5 1-2 * * *", "30 2 */2 * *", "30 2 ? * 0,6", "0 0-5 * * 0", "45 1-3 7,14,28,31 3,10,11 *",
}

func patterns() []pattern {
	var all []pattern
	add := func(from string, fields ...string) { all = append(all, pattern{strings.Join(fields, " "), from}) }
	for _, p := range append(append([]string{}, whole...), never...) {
		add("calendar", p)
	}
	// Each field by itself, the others plain.
	for i := range valid {
		for _, list := range [][]string{valid[i], invalid[i], broken} {
			for _, f := range list {
				fields := []string{"0", "0", "*", "*", "*"}
				fields[i] = f
				add("calendar", fields...)
				for _, second := range []string{"3,", f + ","} { // and in a list
					fields[i] = second + f
					add("calendar", fields...)
				}
			}
		}
	}
	// The two day fields decide together: every pair.
	for _, day := range valid[2] {
		for _, weekday := range valid[4] {
			add("calendar", "30", "12", day, "*", weekday)
		}
	}
	for _, day := range valid[2] {
		for _, month := range valid[3] {
			add("calendar", "0", "6", day, month, "*")
		}
	}
	for _, minute := range valid[0] {
		for _, hour := range valid[1] {
			add("calendar", minute, hour, "*", "*", "*")
		}
	}
	// Everything with everything, drawn with a fixed seed.
	draw := rand.New(rand.NewPCG(3, 48))
	for range 1000 {
		var fields []string
		for i := range valid {
			fields = append(fields, valid[i][draw.IntN(len(valid[i]))])
		}
		add("calendar", fields...)
	}
	for _, zone := range []string{"America/New_York", "Australia/Sydney", "Europe/Berlin"} {
		for _, p := range local {
			add(zone, "CRON_TZ="+zone, p)
		}
	}
	return all
}
