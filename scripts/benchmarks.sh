#!/bin/sh
# Runs every benchmark and prints what docs/benchmarks.md shows: scripts/benchmarks.sh > results.md
# About 15 minutes, after the build. Nothing else should run on the machine.
set -eu
cd "$(dirname "$0")/.."
# 2,000 miners on the splice path need 20,000 descriptors; without the right to it, as many as allowed.
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"

cargo bench --no-run --bench round_trip --bench many_miners --bench footprint --bench splice_cost --bench aggregate \
    --bench share_cost --bench analyzer --bench page --bench status
echo "$(date -u +%Y-%m-%d), $(nproc) CPUs, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), Linux $(uname -r)"

bench() {
    printf '\n## %s\n' "$*"
    "$@"
}
bench cargo bench -q --bench round_trip
bench taskset -c 0 cargo bench -q --bench round_trip
bench env BENCH_PAUSE=2000 BENCH_MESSAGES=500 cargo bench -q --bench round_trip
bench cargo bench -q --bench many_miners
bench cargo bench -q --bench footprint
bench cargo bench -q --bench aggregate
bench taskset -c 0 cargo bench -q --bench splice_cost
bench cargo bench -q --bench share_cost
bench cargo bench -q --bench analyzer
bench cargo bench -q --bench page
bench cargo bench -q --bench status
