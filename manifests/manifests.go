// Package manifests holds the Kubernetes manifests that xcc's identity is made of.
package manifests

import "embed"

// Files are the manifests, as they stand in this folder.
//
//go:embed *.yaml
var Files embed.FS
