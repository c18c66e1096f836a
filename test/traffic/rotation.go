//go:build linux

package main

import (
	"context"
	"errors"
	"os"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
	"xcc/test/daemon"
	"xcc/test/network"
)

// rotate replaces xcc's kubeconfig by one with other tokens for both clusters. Those that it replaced before are then not valid
// any more.
func rotate(ctx context.Context, s *stage) error {
	east, revokeEast, err := token(ctx, s.east, s.namespace)
	if err != nil {
		return err
	}
	west, revokeWest, err := token(ctx, s.west, s.namespace)
	if err != nil {
		return err
	}
	if err := cluster.WriteKubeconfig(s.kubeconfig+".next", east, west); err != nil {
		return err
	}
	if err := os.Rename(s.kubeconfig+".next", s.kubeconfig); err != nil {
		return err
	}
	revoke := s.revoke
	s.revoke = func(ctx context.Context) error { return errors.Join(revokeEast(ctx), revokeWest(ctx)) }
	if revoke == nil {
		return nil
	}
	return revoke(ctx)
}

// token is an access with xcc's identity, which is valid until it is revoked.
func token(ctx context.Context, c *network.Cluster, prefix string) (_ cluster.Access, revoke func(context.Context) error, err error) {
	// A token that is bound to an object ends with it.
	secrets := c.Clientset().CoreV1().Secrets(daemon.Namespace)
	bound, err := secrets.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{GenerateName: prefix + "-"}}, metav1.CreateOptions{})
	if err != nil {
		return cluster.Access{}, nil, err
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Secret", Name: bound.Name, UID: bound.UID},
	}}
	accounts := c.Clientset().CoreV1().ServiceAccounts(daemon.Namespace)
	response, err := accounts.CreateToken(ctx, daemon.ServiceAccount, request, metav1.CreateOptions{})
	if err != nil {
		return cluster.Access{}, nil, err
	}
	access := c.Admin()
	access.ClientCertificate, access.ClientKey, access.Token = nil, nil, response.Status.Token
	return access, func(ctx context.Context) error { return secrets.Delete(ctx, bound.Name, metav1.DeleteOptions{}) }, nil
}
