package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build is what the program knows of how it was made.
type build struct {
	Version  string `json:"version"`  // of the module; (devel) for a build from a checkout
	Revision string `json:"revision"` // commit; empty when it is not known
	Modified bool   `json:"modified"` // the checkout had changes
	Time     string `json:"time"`     // of the commit
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func (c *cli) version() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print what this program was made of",
		Example: `  boxoffice version
  boxoffice version --json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := readBuild()
			if asJSON {
				return written(json.NewEncoder(c.stdout).Encode(b))
			}
			changed := ""
			if b.Modified {
				changed = " (changed)"
			}
			_, err := fmt.Fprintf(c.stdout, "boxoffice %s %s%s %s %s/%s\n", b.Version, b.Revision, changed, b.Go, b.OS, b.Arch)
			return written(err)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

func readBuild() build {
	b := build{Version: "(unknown)", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Version = info.Main.Version
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}
