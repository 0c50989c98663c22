package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"kentroller.dev/controlplane/internal/ec2types"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	kwok "sigs.k8s.io/karpenter/kwok/apis"
	karpenter "sigs.k8s.io/karpenter/pkg/apis"
)

// bring starts everything in order and returns when all of it is ready.
func bring(ctx context.Context, f folder, c *children, types string) error {
	b := &bringing{ctx: ctx, folder: f, children: c}
	if err := b.freePorts(); err != nil {
		return err
	}
	for _, step := range []func() error{
		b.startEtcd, b.startAPIServer, b.installCRDs, b.startControllers, b.startScheduler, b.startNodes,
		func() error { return b.startKarpenter(types) }, b.awaitControllers, b.awaitScheduler, b.awaitKarpenter,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

type bringing struct {
	ctx      context.Context
	folder   folder
	children *children
	pki      *pki
	admin    *rest.Config
	port     struct{ etcd, etcdPeer, api, controllers, scheduler, metrics, health int }
}

// freePorts asks the system for ports. Another process can take one before the program it is meant for listens: that program then ends, and the run with it.
func (b *bringing) freePorts() error {
	p := &b.port
	for _, port := range []*int{&p.etcd, &p.etcdPeer, &p.api, &p.controllers, &p.scheduler, &p.metrics, &p.health} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer listener.Close() // only when all are drawn, so that all differ
		*port = listener.Addr().(*net.TCPAddr).Port
	}
	return nil
}

func (b *bringing) startEtcd() error {
	client, peer := fmt.Sprintf("http://127.0.0.1:%d", b.port.etcd), fmt.Sprintf("http://127.0.0.1:%d", b.port.etcdPeer)
	return b.children.start("etcd", 3*time.Second, []string{"GOGC=200"},
		"--name=one", "--data-dir="+b.folder.path("etcd"), "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=one="+peer,
		"--quota-backend-bytes=4294967296", "--snapshot-count=100000")
}

func (b *bringing) startAPIServer() (err error) {
	if b.pki, err = newPKI(b.folder, fmt.Sprintf("https://127.0.0.1:%d", b.port.api)); err != nil {
		return err
	}
	file := func(name string) string { return b.folder.path("pki", name) }
	// Little grace: its drain is long and nothing here needs it.
	err = b.children.start("kube-apiserver", 300*time.Millisecond, nil,
		fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", b.port.etcd), "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", b.port.api),
		"--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
		"--tls-cert-file="+file("apiserver.crt"), "--tls-private-key-file="+file("apiserver.key"), "--client-ca-file="+file("ca.crt"),
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+file("tokens.key"), "--service-account-signing-key-file="+file("tokens.key"),
		"--service-cluster-ip-range=10.0.0.0/16", "--authorization-mode=RBAC", "--allow-privileged=true", "--profiling=false",
		// Nobody has that name: only so that controllers and scheduler find the CA they look for every five seconds.
		"--requestheader-client-ca-file="+file("ca.crt"), "--requestheader-allowed-names=front-proxy",
		"--max-requests-inflight=1000", "--max-mutating-requests-inflight=500")
	if err != nil {
		return err
	}
	kubeconfig, err := b.pki.kubeconfig("admin.kubeconfig", "admin", "system:masters")
	if err != nil {
		return err
	}
	if b.admin, err = clientcmd.BuildConfigFromFlags("", kubeconfig); err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(b.admin)
	if err != nil {
		return err
	}
	return b.await("kube-apiserver", func() error { return client.RESTClient().Get().AbsPath("/readyz").Do(b.ctx).Error() })
}

func (b *bringing) installCRDs() error {
	_, err := envtest.InstallCRDs(b.admin, envtest.CRDInstallOptions{
		CRDs: slices.Concat(karpenter.CRDs, kwok.CRDs), MaxTime: time.Minute, PollInterval: 20 * time.Millisecond,
	})
	return err
}

func (b *bringing) startControllers() error {
	kubeconfig, err := b.pki.kubeconfig("pki/controllers.kubeconfig", "system:kube-controller-manager")
	if err != nil {
		return err
	}
	// Those that need a cloud, real nodes or certificates to sign are left out.
	const controllers = "deployment-controller,replicaset-controller,statefulset-controller,daemonset-controller,job-controller,cronjob-controller," +
		"disruption-controller,garbage-collector-controller,namespace-controller,serviceaccount-controller,root-ca-certificate-publisher-controller," +
		"node-lifecycle-controller,taint-eviction-controller,pod-garbage-collector-controller,endpointslice-controller,resourcequota-controller," +
		"clusterrole-aggregation-controller,persistentvolume-binder-controller,persistentvolume-protection-controller," +
		"persistentvolumeclaim-protection-controller,ttl-after-finished-controller"
	return b.children.start("kube-controller-manager", 3*time.Second, nil,
		"--kubeconfig="+kubeconfig, "--authentication-kubeconfig="+kubeconfig, "--authorization-kubeconfig="+kubeconfig,
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", b.port.controllers), "--leader-elect=false", "--use-service-account-credentials=true",
		"--service-account-private-key-file="+b.folder.path("pki/tokens.key"), "--root-ca-file="+b.folder.path("pki/ca.crt"), "--profiling=false",
		"--kube-api-qps=500", "--kube-api-burst=1000", "--concurrent-deployment-syncs=20", "--concurrent-replicaset-syncs=20",
		"--node-monitor-grace-period=50s", "--controllers="+controllers)
}

func (b *bringing) startScheduler() error {
	kubeconfig, err := b.pki.kubeconfig("pki/scheduler.kubeconfig", "system:kube-scheduler")
	if err != nil {
		return err
	}
	return b.children.start("kube-scheduler", 3*time.Second, nil,
		"--kubeconfig="+kubeconfig, "--authentication-kubeconfig="+kubeconfig, "--authorization-kubeconfig="+kubeconfig, "--authentication-tolerate-lookup-failure=true",
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", b.port.scheduler), "--leader-elect=false", "--profiling=false",
		"--kube-api-qps=500", "--kube-api-burst=1000")
}

func (b *bringing) startNodes() error {
	kubeconfig, err := b.pki.kubeconfig("pki/nodes.kubeconfig", "fake-nodes", "system:masters")
	if err != nil {
		return err
	}
	return b.children.start("nodes", 3*time.Second, nil, "--kubeconfig="+kubeconfig)
}

func (b *bringing) startKarpenter(types string) error {
	table, err := ec2types.Default, error(nil)
	if types != "" {
		if table, err = os.ReadFile(types); err != nil {
			return err
		}
	}
	converted, err := ec2types.Convert(table)
	if err != nil {
		return err
	}
	if err := b.folder.write("instance-types.json", converted); err != nil {
		return err
	}
	kubeconfig, err := b.pki.kubeconfig("pki/karpenter.kubeconfig", "karpenter", "system:masters")
	if err != nil {
		return err
	}
	return b.children.start("karpenter", 3*time.Second, []string{
		"KUBECONFIG=" + kubeconfig, "DISABLE_LEADER_ELECTION=true", "SYSTEM_NAMESPACE=kube-system", "INSTANCE_TYPES_FILE_PATH=" + b.folder.path("instance-types.json"),
		fmt.Sprintf("METRICS_PORT=%d", b.port.metrics), fmt.Sprintf("HEALTH_PROBE_PORT=%d", b.port.health),
		"CPU_REQUESTS=2000", // millicores; it scales its workers by them
	})
}

// awaitControllers waits for something only a controller makes: without it no pod can be created.
func (b *bringing) awaitControllers() error {
	client, err := kubernetes.NewForConfig(b.admin)
	if err != nil {
		return err
	}
	return b.await("kube-controller-manager", func() error {
		_, err := client.CoreV1().ServiceAccounts("default").Get(b.ctx, "default", metav1.GetOptions{})
		return err
	})
}

func (b *bringing) awaitScheduler() error {
	// Its serving certificate is self-signed and new each time.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	return b.await("kube-scheduler", func() error { return get(b.ctx, client, fmt.Sprintf("https://127.0.0.1:%d/readyz", b.port.scheduler)) })
}

func (b *bringing) awaitKarpenter() error {
	return b.await("karpenter", func() error {
		return get(b.ctx, http.DefaultClient, fmt.Sprintf("http://127.0.0.1:%d/readyz", b.port.health))
	})
}

// await polls for at most two minutes, or until the run ends.
func (b *bringing) await(name string, ready func() error) error {
	limit := time.After(2 * time.Minute)
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-b.ctx.Done():
			return context.Cause(b.ctx)
		case <-limit:
			return fmt.Errorf("%s is not ready after two minutes: %w", name, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func get(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.300s", url, response.Status, body)
	}
	return err
}
