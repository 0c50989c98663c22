package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// children are the programs of the cluster. They die with this process, and when one ends by itself the run ends.
type children struct {
	folder folder
	end    context.CancelCauseFunc
	all    []*child
}

type child struct {
	process *os.Process
	// grace is how long it may take to end.
	grace time.Duration
	done  chan struct{}
}

// start runs a program that stands beside this one; its output goes to a log of its name.
func (c *children) start(program string, grace time.Duration, environment []string, arguments ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.Create(c.folder.path("logs", program+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(filepath.Dir(self), program), arguments...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, string(c.folder)
	cmd.Env = append(os.Environ(), environment...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		err := cmd.Wait()
		close(done)
		c.end(fmt.Errorf("%s ended by itself (%v):\n%s", program, err, tail(log.Name())))
	}()
	c.all = append(c.all, &child{cmd.Process, grace, done})
	return nil
}

// stop ends them, the last started first.
func (c *children) stop() {
	for _, child := range slices.Backward(c.all) {
		_ = child.process.Signal(syscall.SIGTERM)
		select {
		case <-child.done:
		case <-time.After(child.grace):
			_ = child.process.Kill()
			<-child.done
		}
	}
}

// tail is the end of a log.
func tail(file string) []byte {
	content, _ := os.ReadFile(file)
	return content[max(0, len(content)-2000):]
}
