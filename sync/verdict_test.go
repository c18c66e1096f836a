package sync

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReasonsAreAllThatThereAre(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			if spec, is := node.(*ast.ValueSpec); is {
				want = append(want, reasonsOf(spec)...)
			}
			return true
		})
	}
	for _, reason := range Reasons {
		got = append(got, string(reason))
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" || len(want) == 0 {
		t.Errorf("constants and Reasons (-want +got):\n%s", diff)
	}
}

// reasonsOf gives the constants of type Reason. They are called what they say.
func reasonsOf(spec *ast.ValueSpec) (names []string) {
	if of, named := spec.Type.(*ast.Ident); named && of.Name == "Reason" {
		for _, name := range spec.Names {
			names = append(names, name.Name)
		}
	}
	return names
}
