// Records of log/slog: as JSON, as text, and by its default handler.
package main

import (
	"errors"
	"log"
	"log/slog"
	"os"
)

func main() {
	options := &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}
	json := slog.New(slog.NewJSONHandler(os.Stdout, options))
	json.Info("listening", "port", 8080)
	json.With(slog.Group("request", "method", "GET", "path", "/cart")).
		Error("request failed", "error", errors.New("no such cart"))
	text := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug}))
	text.Debug("starting")
	text.Warn("slow query", "ms", 1204.5, slog.Group("request", "path", "/a b"), "quote", `a "b"`)
	log.SetOutput(os.Stdout)
	slog.Warn("slow query", "ms", 1204.5)
}
