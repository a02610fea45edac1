//go:build ignore

// Report reads what go test -json prints and tells what a reader wants to know: a line per package,
// the output of what failed, and every skipped test. It fails when a test failed or was skipped, for a
// skipped test proves nothing. With -figures it also tells what tests that passed have logged, of those that
// match.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// event is one line of go test -json.
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64
}

// key is what output belongs to: a test, a package or a build.
type key struct{ Package, Test string }

// logged is a line of t.Log.
var logged = regexp.MustCompile(`^ +\w+_test\.go:\d+: `)

func main() {
	figures := flag.String("figures", "", "`regexp` of tests whose log lines are shown though they passed")
	flag.Parse()
	shown := regexp.MustCompile(*figures)
	var passed, failed int
	var skipped []string
	output := map[key][]string{}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Println(lines.Text()) // not from a test: the go command itself speaks
			continue
		}
		k := key{e.Package, e.Test}
		switch {
		case e.Action == "build-output":
			fmt.Print(e.Output)
		case e.Action == "build-fail":
			failed++
		case e.Action == "output":
			output[k] = append(output[k], e.Output)
		case e.Action == "fail":
			failed++
			fmt.Print(strings.Join(output[k], ""))
			delete(output, k)
		case e.Action == "skip" && e.Test != "":
			skipped = append(skipped, e.Package+" "+e.Test+"\n"+strings.Join(output[k], ""))
		case e.Action == "pass" && e.Test != "":
			passed++
			for _, line := range output[k] {
				if at := logged.FindString(line); *figures != "" && at != "" && shown.MatchString(e.Test) {
					fmt.Printf("    %s: %s", e.Test, line[len(at):])
				}
			}
			delete(output, k)
		case e.Action == "pass" || e.Action == "skip":
			lines := output[k]
			i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "ok ") || strings.HasPrefix(l, "? ") })
			fmt.Print(strings.Join(lines[max(i, 0):], ""))
		}
	}
	if err := lines.Err(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for _, s := range skipped {
		fmt.Print("SKIPPED ", s)
	}
	fmt.Printf("%d tests passed, %d failures, %d skipped\n", passed, failed, len(skipped))
	if failed > 0 || len(skipped) > 0 || passed == 0 {
		os.Exit(1)
	}
}
