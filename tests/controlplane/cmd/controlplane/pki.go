package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// pki is the cluster's certificate authority; what it issues lies in DIR/pki.
type pki struct {
	folder folder
	server string
	ca     *x509.Certificate
	key    *ecdsa.PrivateKey
	serial int64
}

// newPKI makes the authority, the API server's certificate and the key that service account tokens are signed with.
func newPKI(f folder, server string) (*pki, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	p := &pki{folder: f, server: server, key: key}
	template := p.template("controlplane")
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage |= x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	if p.ca, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	serving := p.template("kube-apiserver")
	serving.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	serving.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	certificate, privateKey, err := p.issue(serving)
	if err != nil {
		return nil, err
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	signerKey, err := keyPEM(signer)
	if err != nil {
		return nil, err
	}
	for name, content := range map[string][]byte{
		"ca.crt": certificatePEM(der), "apiserver.crt": certificate, "apiserver.key": privateKey, "tokens.key": signerKey,
	} {
		if err := f.write("pki/"+name, content); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// kubeconfig writes the credentials of a user and tells where.
func (p *pki) kubeconfig(file, user string, groups ...string) (string, error) {
	template := p.template(user)
	template.Subject.Organization = groups
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	certificate, key, err := p.issue(template)
	if err != nil {
		return "", err
	}
	config := api.NewConfig()
	config.Clusters["controlplane"] = &api.Cluster{Server: p.server, CertificateAuthorityData: certificatePEM(p.ca.Raw)}
	config.AuthInfos[user] = &api.AuthInfo{ClientCertificateData: certificate, ClientKeyData: key}
	config.Contexts["controlplane"] = &api.Context{Cluster: "controlplane", AuthInfo: user}
	config.CurrentContext = "controlplane"
	path := p.folder.path(file)
	return path, clientcmd.WriteToFile(*config, path)
}

func (p *pki) template(name string) *x509.Certificate {
	p.serial++
	return &x509.Certificate{
		SerialNumber: big.NewInt(p.serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
}

func (p *pki) issue(template *x509.Certificate) (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, p.ca, private.Public(), p.key)
	if err != nil {
		return nil, nil, err
	}
	key, err = keyPEM(private)
	return certificatePEM(der), key, err
}

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func keyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), err
}
