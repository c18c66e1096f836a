package fault

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"xcc/test/cluster"
	"xcc/test/daemon"
)

func TestRotatedCredentials(t *testing.T) {
	for sentence, way := range map[string]func(*testing.T, *rig) credentials{
		"a kubeconfig that is replaced":              replacedKubeconfig,
		"a kubeconfig behind a link that is swapped": swappedKubeconfig,
		"a token file": tokenFile,
		"the output of an exec plugin that said no end of it": execPlugin,
	} {
		t.Run("14 a revoked token is left for the next one, without a restart: "+sentence, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, shared)
			use := way(t, r)
			first, revoke := r.a.boundToken(t, "first")
			use.put(t, first)
			r.runAs(t, []string{"PATH=" + os.Getenv("PATH")})
			r.a.export(t, exported("cart"), r.a.address(1))
			r.a.export(t, exported("till"), r.a.address(2))
			r.a.mirrored(t, "cart", r.a.address(1))
			r.a.mirrored(t, "till", r.a.address(2))
			before, mark := len(r.xcc.Log()), r.b.mark(t)
			revoke()
			loggedSince(t, r.xcc, before, "level=error", "cluster="+r.a.Name, "nauthorized")
			r.a.remove(t, "till")
			r.a.stands(t, "cart", r.a.address(1))
			r.b.lostNothing(t, mark)
			second, _ := r.a.boundToken(t, "second")
			use.put(t, second)
			r.a.gone(t, "till")
			r.a.fence(t)
			r.a.stands(t, "cart", r.a.address(1))
		})
	}
}

// credentials are the way in which xcc gets its token of side A.
type credentials struct {
	put func(t *testing.T, token string)
}

// boundToken gives a token of xcc's identity that is valid until revoke is called.
func (s *side) boundToken(t *testing.T, name string) (token string, revoke func()) {
	t.Helper()
	secrets := s.Clientset().CoreV1().Secrets(daemon.Namespace)
	secret, err := secrets.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Name: s.rig.namespace + "-" + name, Namespace: daemon.Namespace,
	}}, metav1.CreateOptions{})
	mustBe(t, err)
	response, err := s.Clientset().CoreV1().ServiceAccounts(daemon.Namespace).CreateToken(t.Context(), daemon.ServiceAccount,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
			BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Secret", Name: secret.Name, UID: secret.UID},
		}}, metav1.CreateOptions{})
	mustBe(t, err)
	return response.Status.Token, func() {
		mustBe(t, secrets.Delete(t.Context(), secret.Name, metav1.DeleteOptions{}))
	}
}

// withToken is side A's access with a token.
func (r *rig) withToken(token string) cluster.Access {
	access := r.a.through()
	access.Token = token
	return access
}

func replacedKubeconfig(t *testing.T, r *rig) credentials {
	return credentials{put: func(t *testing.T, token string) {
		next := filepath.Join(r.directory, "next")
		mustBe(t, cluster.WriteKubeconfig(next, r.withToken(token), r.b.through()))
		mustBe(t, os.Rename(next, r.kubeconfig()))
	}}
}

// swappedKubeconfig changes the directory behind the file, as Kubernetes does with a mounted Secret.
func swappedKubeconfig(t *testing.T, r *rig) credentials {
	count := 0
	mustBe(t, os.Symlink(filepath.Join("..data", "kubeconfig"), r.kubeconfig()))
	return credentials{put: func(t *testing.T, token string) {
		count++
		version := fmt.Sprintf("..version-%d", count)
		mustBe(t, os.Mkdir(filepath.Join(r.directory, version), 0o700))
		mustBe(t, cluster.WriteKubeconfig(filepath.Join(r.directory, version, "kubeconfig"), r.withToken(token), r.b.through()))
		mustBe(t, os.Symlink(version, filepath.Join(r.directory, "..next")))
		mustBe(t, os.Rename(filepath.Join(r.directory, "..next"), filepath.Join(r.directory, "..data")))
	}}
}

func tokenFile(t *testing.T, r *rig) credentials {
	file := filepath.Join(r.directory, "token")
	r.writeAuth(t, &clientcmdapi.AuthInfo{TokenFile: file})
	return credentials{put: func(t *testing.T, token string) { replaceFile(t, file, token, 0o600) }}
}

// execPlugin is a command that gives a token, such as aws eks get-token. It doesn't say when the token expires, so nothing
// but the API server's word can tell.
func execPlugin(t *testing.T, r *rig) credentials {
	file, script := filepath.Join(r.directory, "token"), filepath.Join(r.directory, "plugin")
	replaceFile(t, script, "#!/bin/sh\n"+
		`printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s"}}' "$(cat `+file+`)"`+"\n", 0o700)
	r.writeAuth(t, &clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{
		Command: script, APIVersion: "client.authentication.k8s.io/v1", InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
	}})
	return credentials{put: func(t *testing.T, token string) { replaceFile(t, file, token, 0o600) }}
}

func replaceFile(t *testing.T, file, content string, mode os.FileMode) {
	t.Helper()
	mustBe(t, os.WriteFile(file+".next", []byte(content), mode))
	mustBe(t, os.Rename(file+".next", file))
}

// writeAuth writes the kubeconfig with other credentials for side A.
func (r *rig) writeAuth(t *testing.T, auth *clientcmdapi.AuthInfo) {
	t.Helper()
	mustBe(t, cluster.WriteKubeconfig(r.kubeconfig(), r.a.through(), r.b.through()))
	config, err := clientcmd.LoadFromFile(r.kubeconfig())
	mustBe(t, err)
	config.AuthInfos[r.a.Name] = auth
	mustBe(t, clientcmd.WriteToFile(*config, r.kubeconfig()))
}

func TestWithdrawnRights(t *testing.T) {
	t.Run("15 rights that are taken away while it runs are noticed, cost no pointer, and work when they are back", func(t *testing.T) {
		r := newRig(t, hurtPair(t))
		r.a.export(t, exported("cart"), r.a.address(1))
		r.a.export(t, exported("till"), r.a.address(2))
		r.run(t)
		r.a.mirrored(t, "cart", r.a.address(1))
		r.a.mirrored(t, "till", r.a.address(2))
		before, mark := len(r.xcc.Log()), r.b.mark(t)
		bindings := r.a.Clientset().RbacV1().ClusterRoleBindings()
		var removed []*rbacv1.ClusterRoleBinding
		for _, name := range []string{"xcc-source-read", "xcc-target-write"} {
			binding, err := bindings.Get(t.Context(), name, metav1.GetOptions{})
			mustBe(t, err)
			removed = append(removed, binding)
			mustBe(t, bindings.Delete(t.Context(), name, metav1.DeleteOptions{}))
		}
		restore := func() {
			for _, binding := range removed {
				binding.ResourceVersion, binding.UID = "", ""
				_, err := bindings.Create(t.Context(), binding, metav1.CreateOptions{})
				mustBe(t, err)
			}
		}
		loggedSince(t, r.xcc, before, "level=error", "cluster="+r.a.Name, "forbidden")
		r.a.remove(t, "till") // the open watch may tell of it; the proof is forbidden
		r.a.stands(t, "cart", r.a.address(1))
		r.b.lostNothing(t, mark)
		logged := len(r.xcc.Log())
		restore()
		loggedSince(t, r.xcc, logged, "cluster="+r.a.Name, "connected again")
		r.a.gone(t, "till")
		r.a.fence(t)
		r.b.fence(t)
	})
}
