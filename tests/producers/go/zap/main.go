// Records of zap: its JSON, then its console, then a panic.
package main

import (
	"errors"
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

func production() *zap.Logger {
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	core := zapcore.NewCore(encoder, os.Stdout, zap.DebugLevel)
	return zap.New(core, zap.AddCaller(), zap.AddStacktrace(zap.ErrorLevel))
}

func development() *zap.Logger {
	encoder := zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig())
	core := zapcore.NewCore(encoder, os.Stdout, zap.DebugLevel)
	return zap.New(core, zap.AddCaller(), zap.AddStacktrace(zap.ErrorLevel))
}

func pay(order int) {
	var orders []int
	orders[order] = 1
}

func main() {
	log := production()
	log.Info("listening", zap.Int("port", 8080), zap.Duration("startup", 1500000000))
	log.Warn("slow query", zap.Float64("ms", 1204.5), zap.Strings("tables", []string{"a", "b"}))
	log.Error("request failed", zap.Error(errors.New("no such cart")), zap.Namespace("request"), zap.String("path", "/cart"))
	console := development()
	console.Info("listening", zap.Int("port", 8080))
	console.Error("request failed", zap.Error(errors.New("no such cart")))
	console.Info("still here")
	os.Stderr = os.Stdout
	pay(5)
}
