#!/bin/sh
# Runs every benchmark and prints what docs/benchmarks.md shows: scripts/benchmarks.sh > results.md
# About three hours, after the build. Nothing else should run on the machine.
set -eu
cd "$(dirname "$0")/.."
# 2,000 miners on the splice path need 20,000 descriptors; without the right to it, as many as allowed.
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"

cargo bench --no-run --bench proxies --bench stacks --bench aggregate --bench share_cost --bench analyzer --bench status
echo "$(date -u +%Y-%m-%d), $(nproc) CPUs, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), Linux $(uname -r)"

bench() {
    printf '\n## %s\n' "$*"
    "$@"
}
bench cargo bench -q --bench proxies
bench cargo bench -q --bench stacks
bench cargo bench -q --bench aggregate
bench cargo bench -q --bench share_cost
bench cargo bench -q --bench analyzer
bench cargo bench -q --bench status
