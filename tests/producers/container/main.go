// What container runtimes write for a container whose output is this program's input: lines beginning with `!` go to
// stderr, all others to stdout. Written by containerd's own CRI logger and by Docker's own json-file driver.
//
//	container cri FILE < lines      container docker FILE < lines
package main

import (
	"bufio"
	"io"
	"log"
	"os"
	"strings"
	"time"

	cri "github.com/containerd/containerd/pkg/cri/io"
	"github.com/docker/docker/daemon/logger"
	"github.com/docker/docker/daemon/logger/jsonfilelog"
)

// Bytes of one line of containerd's; the rest of a longer line follows as a partial line.
const lineBytesMax = 128

func main() {
	kind, path := os.Args[1], os.Args[2]
	var stdout, stderr io.WriteCloser
	switch kind {
	case "cri":
		file, err := os.Create(path)
		check(err)
		var first, second <-chan struct{}
		stdout, first = cri.NewCRILogger(path, file, cri.Stdout, lineBytesMax)
		stderr, second = cri.NewCRILogger(path, file, cri.Stderr, lineBytesMax)
		defer func() {
			stdout.Close()
			stderr.Close()
			<-first
			<-second
		}()
	case "docker":
		driver, err := jsonfilelog.New(logger.Info{
			LogPath:         path,
			Config:          map[string]string{"labels": "team"},
			ContainerID:     "0123456789ab",
			ContainerLabels: map[string]string{"team": "checkout"},
		})
		check(err)
		out, in := io.Pipe()
		errOut, errIn := io.Pipe()
		copier := logger.NewCopier(map[string]io.Reader{"stdout": out, "stderr": errOut}, driver)
		copier.Run()
		stdout, stderr = in, errIn
		defer func() {
			stdout.Close()
			stderr.Close()
			copier.Wait()
			driver.Close()
		}()
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line, output := lines.Text(), stdout
		if rest, found := strings.CutPrefix(line, "!"); found {
			line, output = rest, stderr
		}
		_, err := io.WriteString(output, line+"\n")
		check(err)
		// The streams are read apart from each other; this keeps their order.
		time.Sleep(2 * time.Millisecond)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
