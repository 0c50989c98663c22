// controlplane runs a real Kubernetes control plane, fake kubelets and Karpenter as child processes on loopback.
//
//	controlplane run  --dir DIR [--stdin]   in the foreground until SIGTERM, SIGINT or, with --stdin, the end of stdin
//	controlplane up   --dir DIR             the same in the background
//	controlplane down --dir DIR             ends what runs in DIR
//
// run and up print one line, "ready", once everything answers. DIR/admin.kubeconfig is then a cluster administrator's;
// each program's output is in DIR/logs. The programs are looked for beside this one. The cluster's contents are lost when it ends.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
)

func main() {
	if err := command(); err != nil {
		fmt.Fprintln(os.Stderr, "controlplane:", err)
		os.Exit(1)
	}
}

func command() error {
	usage := errors.New("usage: controlplane run|up|down --dir DIR [--stdin] [--instance-types FILE]")
	if len(os.Args) < 2 {
		return usage
	}
	flags := flag.NewFlagSet("controlplane", flag.ExitOnError)
	dir := flags.String("dir", "", "working folder; made if missing, what an earlier run left in it is deleted")
	stdin := flags.Bool("stdin", false, "end when stdin ends, so that nothing outlives the caller")
	types := flags.String("instance-types", "", "CSV of the instance types Karpenter may launch (default: 46 of EC2's)")
	_ = flags.Parse(os.Args[2:]) // ExitOnError
	if *dir == "" || flags.NArg() > 0 || *stdin && os.Args[1] != "run" {
		return usage
	}
	absolute, err := filepath.Abs(*dir)
	if err != nil {
		return err
	}
	switch os.Args[1] {
	case "run":
		return run(absolute, *types, *stdin)
	case "up":
		return up(absolute)
	case "down":
		return down(absolute)
	}
	return usage
}

var errAsked = errors.New("asked to end")

func run(dir, types string, stdin bool) error {
	runtime.LockOSThread() // a child's death signal is tied to the thread that started it
	ctx, end := context.WithCancelCause(context.Background())
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT)
	go func() { <-asked; end(errAsked) }()
	if stdin {
		go func() { _, _ = io.Copy(io.Discard, os.Stdin); end(errAsked) }()
	}
	f, err := newFolder(dir)
	if err != nil {
		return err
	}
	defer f.leave()
	children := &children{folder: f, end: end}
	defer children.stop()
	if err := bring(ctx, f, children, types); err == nil {
		if err := f.announce(); err != nil {
			return err
		}
		<-ctx.Done()
	} else if ctx.Err() == nil {
		return err
	}
	if cause := context.Cause(ctx); !errors.Is(cause, errAsked) {
		return cause
	}
	return nil
}
