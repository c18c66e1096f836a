package command

import (
	"fmt"
	"io"
	"os"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/sirupsen/logrus"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"
	"k8s.io/klog/v2"
)

// logger makes the one logger. What client-go has to say goes to it as well, for debugging.
func logger(c *cli.Context, stderr io.Writer) (logrus.FieldLogger, error) {
	log := logrus.New()
	log.SetOutput(stderr)
	level, err := logrus.ParseLevel(c.String("log-level"))
	if err != nil {
		return nil, fmt.Errorf("--log-level: %q is none of error, warning, info and debug", c.String("log-level"))
	}
	if c.Bool("devmode") && !c.IsSet("log-level") {
		level = logrus.DebugLevel
	}
	log.SetLevel(level)
	switch format := c.String("log-format"); {
	case format == "text":
	case format == "json", format == "" && os.Getenv("JOURNAL_STREAM") != "" && !isTerminal(stderr):
		log.SetFormatter(&logrus.JSONFormatter{})
	case format != "":
		return nil, fmt.Errorf("--log-format: %q is neither text nor json", format)
	}
	klog.SetLogger(funcr.New(func(prefix, message string) { log.WithField("from", "client-go").Debug(prefix, " ", message) }, funcr.Options{}))
	return log, nil
}

// quiet is a logger for commands whose result is what they print: what goes wrong, and nothing else.
func quiet(stderr io.Writer) logrus.FieldLogger {
	log := logrus.New()
	log.SetOutput(stderr)
	log.SetLevel(logrus.ErrorLevel)
	klog.SetLogger(logr.Discard())
	return log
}

// isTerminal reports whether somebody sits at the other end of a stream.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
