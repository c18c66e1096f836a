package command

import "testing"

func TestScope(t *testing.T) {
	tests := []struct {
		name           string
		only, excluded []string
		namespace      string
		want           bool
	}{
		{"without limits every namespace is in scope", nil, nil, "shop", true},
		{"one that is named is in scope", []string{"shop", "bank"}, nil, "bank", true},
		{"one that is not named is not", []string{"shop"}, nil, "bank", false},
		{"one that is excluded is not", nil, []string{"bank"}, "bank", false},
		{"the others are", nil, []string{"bank"}, "shop", true},
		{"excluded goes before named", []string{"shop"}, []string{"shop"}, "shop", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := scope(test.only, test.excluded)(test.namespace); got != test.want {
				t.Errorf("in scope: %t, want %t", got, test.want)
			}
		})
	}
}

func TestScopeName(t *testing.T) {
	tests := []struct {
		name           string
		only, excluded []string
		want           string
	}{
		{"all namespaces have no name", nil, nil, ""},
		{"the same namespaces have the same name", []string{"shop", "bank", "shop"}, nil, "only bank, shop"},
		{"what is excluded is another scope", nil, []string{"till", "bank"}, "not bank, till"},
		{"both", []string{"shop"}, []string{"bank"}, "only shop, not bank"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := scopeName(test.only, test.excluded); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
