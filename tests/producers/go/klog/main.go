// Records of klog, plain and structured.
package main

import (
	"errors"
	"flag"

	"k8s.io/klog/v2"
)

type pod struct{ namespace, name string }

func (p pod) GetNamespace() string { return p.namespace }
func (p pod) GetName() string      { return p.name }

func main() {
	klog.InitFlags(nil)
	flag.Set("logtostderr", "true")
	flag.Parse()
	klog.Infof("starting %s", "kubelet")
	klog.Warning("slow")
	klog.InfoS("Pod \"status\" updated", "pod", klog.KObj(pod{"kube-system", "dns"}), "ready", true, "n", 3)
	klog.ErrorS(errors.New("no such image"), "Failed to pull", "image", "shop:1.2")
	klog.Error("cannot open [file]")
	klog.Flush()
}
