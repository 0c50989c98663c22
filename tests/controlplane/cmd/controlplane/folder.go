package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// folder is the working folder of one run.
type folder string

func newFolder(dir string) (folder, error) {
	f := folder(dir)
	if pid := f.runningPID(); pid != 0 && pid != os.Getpid() {
		return f, fmt.Errorf("process %d runs in %s already; end it with: controlplane down --dir %s", pid, dir, dir)
	}
	for _, sub := range []string{"etcd", "pki", "logs"} {
		if err := os.RemoveAll(f.path(sub)); err != nil {
			return f, err
		}
		if err := os.MkdirAll(f.path(sub), 0o700); err != nil {
			return f, err
		}
	}
	if err := os.RemoveAll(f.path("ready")); err != nil {
		return f, err
	}
	return f, f.write("pid", []byte(strconv.Itoa(os.Getpid())))
}

func (f folder) path(elements ...string) string {
	return filepath.Join(append([]string{string(f)}, elements...)...)
}

func (f folder) write(name string, content []byte) error {
	return os.WriteFile(f.path(name), content, 0o600)
}

// announce tells the caller, and up, that the cluster is there.
func (f folder) announce() error {
	fmt.Println("ready")
	return f.write("ready", nil)
}

func (f folder) isReady() bool {
	_, err := os.Stat(f.path("ready"))
	return err == nil
}

func (f folder) leave() {
	_ = os.Remove(f.path("ready"))
	_ = os.Remove(f.path("pid"))
}

// runningPID is the process that runs in the folder, or 0. A number that another program has by now does not count.
func (f folder) runningPID() int {
	content, err := os.ReadFile(f.path("pid"))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(string(content))
	if err != nil {
		return 0
	}
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil || filepath.Base(strings.TrimSuffix(program, " (deleted)")) != "controlplane" {
		return 0
	}
	return pid
}
