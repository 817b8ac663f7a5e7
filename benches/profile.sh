#!/usr/bin/env bash
# Where the agent's instructions go: runs it under callgrind on each workload and prints instructions per byte of input and
# the functions that take most of them. Instructions do not depend on what else the machine does.
#
#   benches/profile.sh [WORKLOAD...]     default: cri json; see `vervet-benches profile --help`
#
# Environment: MIB (default 16) is the size of the input, TOP (default 25) how many functions are shown, OUT (default
# target/profile) where the profiles stay, for `callgrind_annotate` or a viewer. Needs valgrind.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
mib=${MIB:-16} top=${TOP:-25} out=${OUT:-$target/profile}
command -v valgrind >/dev/null || { echo "valgrind is not installed" >&2; exit 1; }
[ -n "${NO_BUILD:-}" ] || cargo build --release --quiet -p vervet-agent -p vervet-benches
mkdir -p "$out"
for workload in "${@:-cri json}"; do for one in $workload; do
	profile="$out/$one.callgrind"
	rm -f "$profile"
	"$target/release/vervet-benches" profile --workload "$one" --mib "$mib" -- \
		valgrind --tool=callgrind --callgrind-out-file="$profile" >/dev/null
	echo "== $one, $mib MiB"
	# Inlined parts of a function stand apart, by source file: they are added up.
	callgrind_annotate --auto=no --inclusive=no --threshold=99.9 "$profile" | sed 's/([0-9. ]*%)//' | awk \
		-v bytes=$((mib << 20)) -v top="$top" '
		/PROGRAM TOTALS/ { gsub(",", "", $1); total = $1 }
		/^ *[0-9,]+ +[^ ]+:[^ ]/ {
			count = $1; gsub(",", "", count)
			name = $0; sub(/^ *[0-9,]+ +/, "", name); sub(/ \[[^]]*\]$/, "", name); sub(/^[^:]*:/, "", name)
			sum[name] += count
		}
		END {
			printf "%.1f instructions per byte\n", total / bytes
			sorted = "sort -rn | head -" top
			for (name in sum) printf "%7.2f %5.1f%% %s\n", sum[name] / bytes, 100 * sum[name] / total, name | sorted
		}'
done; done
