// Package shell has the commands that tell a shell and a reader what xcc's commands are. What they say is made from the
// definitions of those.
package shell

import (
	"embed"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// scripts ask xcc itself what there is to complete.
//
//go:embed xcc.bash xcc.zsh
var scripts embed.FS

// Completion prints what makes a shell complete commands and flags.
func Completion() *cli.Command {
	script := func(file string) cli.ActionFunc {
		return func(c *cli.Context) error {
			text, err := scripts.ReadFile(file)
			if err != nil {
				return err
			}
			return print(c, string(text))
		}
	}
	return &cli.Command{
		Name:  "completion",
		Usage: "print the shell's completion: source <(xcc completion bash)",
		Subcommands: []*cli.Command{
			{Name: "bash", Usage: "for bash: source <(xcc completion bash)", Action: script("xcc.bash")},
			{Name: "zsh", Usage: "for zsh: source <(xcc completion zsh)", Action: script("xcc.zsh")},
			{Name: "fish", Usage: "for fish: xcc completion fish | source", Action: func(c *cli.Context) error {
				text, err := c.App.ToFishCompletion()
				if err != nil {
					return err
				}
				// Without a command, the flags are those of sync.
				const given, orNone = "'__fish_seen_subcommand_from sync'", "'__fish_xcc_no_subcommand; or __fish_seen_subcommand_from sync'"
				return print(c, strings.ReplaceAll(text, given, orNone))
			}},
		},
		HideHelpCommand: true,
		Action: func(c *cli.Context) error {
			return fmt.Errorf("completion: %q is none of bash, zsh and fish", c.Args().First())
		},
	}
}

// Man prints the manual page, for those who make packages.
func Man() *cli.Command {
	return &cli.Command{
		Name:   "man",
		Usage:  "print the manual page",
		Hidden: true,
		Action: func(c *cli.Context) error {
			text, err := c.App.ToManWithSection(1)
			if err != nil {
				return err
			}
			return print(c, text)
		},
	}
}

func print(c *cli.Context, text string) error {
	_, err := fmt.Fprint(c.App.Writer, text)
	return err
}
