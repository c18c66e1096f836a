package command

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"xcc/clusters"
)

// sides gives the two clusters that the flags name.
func sides(c *cli.Context) (a, b clusters.Options, err error) {
	side := func(letter string) clusters.Options {
		flag := "kubeconfig-" + letter
		if c.String(flag) == "" {
			flag = "kubeconfig"
		}
		return clusters.Options{
			Kubeconfig:     c.String(flag),
			Context:        c.String("context-" + letter),
			Name:           c.String("name-" + letter),
			KubeconfigFlag: "--" + flag,
			Flag:           "--context-" + letter,
			UserAgent:      "xcc/" + c.App.Version,
		}
	}
	a, b = side("a"), side("b")
	if a.Context == "" && b.Context == "" && c.Bool("devmode") {
		contexts, err := clusters.Contexts(a.Kubeconfig)
		if err != nil {
			return a, b, fmt.Errorf("--kubeconfig: %w", err)
		}
		if len(contexts) != 2 {
			return a, b, fmt.Errorf("--context-a and --context-b: the kubeconfig does not hold exactly two contexts, so name two of these: %s", strings.Join(contexts, ", "))
		}
		a.Context, b.Context = contexts[0], contexts[1]
	}
	for _, options := range []clusters.Options{a, b} {
		if options.Context == "" {
			return a, b, fmt.Errorf("%s: missing; name the kubeconfig context of that side", options.Flag)
		}
	}
	return a, b, nil
}
