"""Checks the pods of rendered manifests, and writes the configurations in them to a folder.

Usage: check_manifests.py RENDERED.yaml FOLDER
"""

import pathlib
import sys

import yaml

WRITABLE_HOST_PATHS = {"/var/lib/vervet-agent"}
COLLECTOR_USER = 65532
# All that the agents may ask for. nodes/proxy would let them run commands in every pod of the node.
RULES = {("", "pods"): {"list", "watch"}, ("", "nodes/pods"): {"get"}}


def container_problems(container):
    context = container.get("securityContext", {})
    capabilities = context.get("capabilities", {})
    if not context.get("readOnlyRootFilesystem"):
        yield "its root is writable"
    if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
        yield "it may gain privileges"
    if capabilities.get("drop") != ["ALL"] or set(capabilities.get("add", [])) - {"DAC_READ_SEARCH"}:
        yield "it has capabilities"
    if "memory" not in container.get("resources", {}).get("limits", {}):
        yield "its memory has no limit"
    if "livenessProbe" not in container:
        yield "it has no liveness probe"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "it takes ports of the node"


def pod_problems(kind, pod):
    context = pod.get("securityContext", {})
    # Only the agents ask Kubernetes for anything.
    if pod.get("automountServiceAccountToken") is not False and kind != "DaemonSet":
        yield "it gets a service account token"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "it has no seccomp profile"
    if any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
        yield "it joins namespaces of the node"
    if kind == "StatefulSet" and (not context.get("runAsNonRoot") or context.get("runAsUser") != COLLECTOR_USER):
        yield "it may run as root"
    host_paths = {v["name"]: v["hostPath"]["path"] for v in pod.get("volumes", []) if "hostPath" in v}
    if host_paths and kind != "DaemonSet":
        yield "it mounts paths of the node"
    for container in pod["containers"]:
        for problem in container_problems(container):
            yield f"container {container['name']}: {problem}"
        for mount in container.get("volumeMounts", []):
            path = host_paths.get(mount["name"])
            if path and path not in WRITABLE_HOST_PATHS and not mount.get("readOnly"):
                yield f"container {container['name']}: it may write {path} of the node"


def rule_problems(role):
    for rule in role.get("rules", []):
        for group in rule.get("apiGroups", [""]):
            for resource in rule.get("resources", []):
                if not set(rule["verbs"]) <= RULES.get((group, resource), set()):
                    yield f"nothing here needs to {', '.join(rule['verbs'])} {resource}"
    if not role.get("rules") or "aggregationRule" in role:
        yield "its rules are not written out"


def main(rendered, folder):
    documents = [d for d in yaml.safe_load_all(pathlib.Path(rendered).read_text()) if d]
    folder = pathlib.Path(folder)
    problems, pods = [], 0
    for document in documents:
        kind, name = document["kind"], document["metadata"]["name"]
        if kind in ("StatefulSet", "DaemonSet", "Deployment"):
            pods += 1
            problems += [f"{kind} {name}: {p}" for p in pod_problems(kind, document["spec"]["template"]["spec"])]
        if kind in ("Role", "Secret"):
            problems.append(f"{kind} {name}: nothing here needs one")
        if kind == "ClusterRole":
            problems += [f"{kind} {name}: {p}" for p in rule_problems(document)]
        if kind == "ClusterRoleBinding":
            bound = [s["name"] for s in document["subjects"]]
            if bound != [document["roleRef"]["name"]] or not bound[0].endswith("-agent"):
                problems.append(f"{kind} {name}: {bound} get {document['roleRef']['name']}")
        for file, text in document.get("data", {}).items() if kind == "ConfigMap" else []:
            if file.endswith(".yaml"):
                folder.mkdir(parents=True, exist_ok=True)
                (folder / file).write_text(text)
    if pods == 0:
        problems.append("there are no pods")
    for problem in problems:
        print(f"{rendered}: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
