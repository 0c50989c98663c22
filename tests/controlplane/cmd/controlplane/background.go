package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// up starts run in the background and returns when it is ready.
func up(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f := folder(dir)
	if pid := f.runningPID(); pid != 0 {
		return fmt.Errorf("process %d runs in %s already", pid, dir)
	}
	_ = os.Remove(f.path("ready"))
	log, err := os.Create(f.path("controlplane.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, append([]string{"run"}, os.Args[2:]...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for !f.isReady() {
		select {
		case err := <-ended:
			return fmt.Errorf("ended before it was ready: %v\n%s", err, tail(log.Name()))
		case <-time.After(20 * time.Millisecond):
		}
	}
	fmt.Println("ready")
	return nil
}

func down(dir string) error {
	pid := folder(dir).runningPID()
	if pid == 0 {
		return nil
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return err
	}
	for range 1000 {
		if syscall.Kill(pid, 0) != nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("process %d has not ended within 20 s", pid)
}
