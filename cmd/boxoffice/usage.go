package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagProblem says what is wrong with a flag, in the words of the command line.
func flagProblem(_ *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	var unknown *pflag.NotExistError
	switch {
	case errors.As(err, &value):
		return fmt.Errorf("--%s: %q is not %s", value.GetFlag().Name, value.GetValue(), kindOf(value.GetFlag()))
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "":
		return fmt.Errorf("there is no flag --%s", unknown.GetSpecifiedName())
	}
	return err
}

// kindOf is what a flag takes.
func kindOf(flag *pflag.Flag) string {
	switch flag.Value.Type() {
	case "int", "int32", "int64":
		return "a whole number"
	case "bool":
		return "true or false"
	case "duration":
		return "a duration with a unit"
	}
	return "a " + flag.Value.Type()
}

// help is cobra's help, but for a command that does not exist it is wrong usage and no answer.
func (c *cli) help() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Tell about a command",
		ValidArgsFunction: func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, command := range cmd.Root().Commands() {
				if command.IsAvailableCommand() {
					names = append(names, command.Name()+"\t"+command.Short)
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err != nil || found == nil || len(rest) > 0 {
				c.started = false
				return fmt.Errorf("there is no command %q", args)
			}
			found.InitDefaultHelpFlag()
			return written(found.Help())
		},
	}
}
