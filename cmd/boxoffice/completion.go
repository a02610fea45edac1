package main

import (
	"github.com/spf13/cobra"
)

func (c *cli) completion() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	cmd := &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print a script that completes commands and flags in a shell",
		Long: `Prints a script for bash, zsh, fish or powershell that makes the Tab key complete commands and flags. Read it
at every start of the shell, or put it where the shell looks for such scripts.`,
		Example: `  source <(boxoffice completion bash)
  boxoffice completion zsh > "${fpath[1]}/_boxoffice"
  boxoffice completion fish > ~/.config/fish/completions/boxoffice.fish
  boxoffice completion powershell | Out-String | Invoke-Expression`,
		Args:                  cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs:             shells,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return written(root.GenBashCompletionV2(c.stdout, true))
			case "zsh":
				return written(root.GenZshCompletion(c.stdout))
			case "fish":
				return written(root.GenFishCompletion(c.stdout, true))
			default:
				return written(root.GenPowerShellCompletionWithDesc(c.stdout))
			}
		},
	}
	return cmd
}
