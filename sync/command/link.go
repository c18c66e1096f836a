package command

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"xcc/clusters"
)

func linkFlags() []cli.Flag {
	return append(sideFlags(), directionFlag(), createNamespacesFlag(), leaderElectFlag(), leaseNamespaceFlag(),
		&cli.StringFlag{Name: "output", Value: "xcc.kubeconfig", Usage: "write xcc's kubeconfig to this `FILE`"},
		&cli.BoolFlag{Name: "rotate", Usage: "make new tokens; those from before end at once"},
		&cli.BoolFlag{Name: "print", Usage: "write the YAML of the identity to standard output instead; no cluster is asked"},
		&cli.StringFlag{Name: "side", Usage: "with --print: the YAML of this `SIDE` only, A or B"},
	)
}

// linkClusters gives xcc its identity.
func linkClusters(c *cli.Context) error {
	if c.Args().Present() {
		return fmt.Errorf("link takes no argument, only flags: %q", c.Args().First())
	}
	partA, partB, err := parts(c)
	if err != nil {
		return err
	}
	if c.Bool("print") {
		return printParts(c, partA, partB)
	}
	a, b, err := admins(c)
	if err != nil {
		return err
	}
	if err := clusters.MayReplace(c.String("output"), a.Name(), b.Name()); err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	var credentials []clusters.Credential
	for _, side := range []struct {
		admin *clusters.Admin
		part  clusters.Part
	}{{a, partA}, {b, partB}} {
		tell := teller(c, side.admin.Name())
		if c.Bool("rotate") {
			if err := side.admin.Rotate(c.Context, tell); err != nil {
				return err
			}
		}
		if err := side.admin.Grant(c.Context, side.part, tell); err != nil {
			return err
		}
		credential, err := side.admin.Credential(c.Context)
		if err != nil {
			return err
		}
		credentials = append(credentials, credential)
	}
	changed, err := clusters.WriteKubeconfig(c.String("output"), credentials...)
	if err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	outcome := "unchanged"
	if changed {
		outcome = "written"
	}
	fmt.Fprintf(c.App.Writer, "%s %s\n", c.String("output"), outcome)
	return nil
}

// parts gives what each side is for xcc.
func parts(c *cli.Context) (a, b clusters.Part, err error) {
	a = clusters.Part{CreateNamespaces: c.Bool("create-namespaces"), LeaseNamespace: c.String("lease-namespace")}
	b = a
	a.Lease = c.Bool("leader-elect")
	switch c.String("direction") {
	case "both":
		a.Source, a.Target, b.Source, b.Target = true, true, true, true
	case "a-to-b":
		a.Source, b.Target = true, true
	case "b-to-a":
		b.Source, a.Target = true, true
	default:
		return a, b, fmt.Errorf("--direction: %q is none of both, a-to-b and b-to-a", c.String("direction"))
	}
	return a, b, nil
}

// printParts writes the identity's YAML. Where both sides get the same, it is written once.
func printParts(c *cli.Context, a, b clusters.Part) error {
	var texts [2]string
	for i, part := range []clusters.Part{a, b} {
		objects, err := part.Objects()
		if err != nil {
			return err
		}
		text, err := clusters.YAML(objects)
		if err != nil {
			return err
		}
		texts[i] = string(text)
	}
	side := strings.ToUpper(c.String("side"))
	switch {
	case side == "A":
		fmt.Fprint(c.App.Writer, texts[0])
	case side == "B":
		fmt.Fprint(c.App.Writer, texts[1])
	case side != "":
		return fmt.Errorf("--side: %q is neither A nor B", c.String("side"))
	case texts[0] == texts[1]:
		fmt.Fprint(c.App.Writer, "# For both sides.\n", texts[0])
	default:
		fmt.Fprint(c.App.Writer, "# For side A.\n", texts[0], "# For side B.\n", texts[1])
	}
	return nil
}

// admins connects with the contexts of administrators.
func admins(c *cli.Context) (a, b *clusters.Admin, err error) {
	sideA, sideB, err := sides(c)
	if err != nil {
		return nil, nil, err
	}
	if a, err = clusters.OpenAdmin(c.Context, sideA); err != nil {
		return nil, nil, err
	}
	if b, err = clusters.OpenAdmin(c.Context, sideB); err != nil {
		return nil, nil, err
	}
	if a.Name() == b.Name() {
		return nil, nil, fmt.Errorf("--name-a and --name-b: both sides are called %s; give them two names", a.Name())
	}
	return a, b, differ(a, b)
}

// teller writes what becomes of a cluster's objects, a line for each.
func teller(c *cli.Context, cluster string) func(string) {
	return func(what string) { fmt.Fprintf(c.App.Writer, "%s: %s\n", cluster, what) }
}

// differ fails where both sides are one cluster.
func differ(a, b interface {
	Name() string
	Identity() clusters.Identity
}) error {
	if a.Identity().Same(b.Identity()) {
		return fmt.Errorf("--context-a and --context-b: %s and %s are one cluster (kube-system has the UID %s in both); name two clusters",
			a.Name(), b.Name(), a.Identity().UID())
	}
	return nil
}
