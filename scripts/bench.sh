#!/usr/bin/env bash
# Runs the benchmarks, one after the other and nothing beside them: `bench.sh`, or `bench.sh deliveries` for one.
# What the figures mean, and what they were, stands in docs/performance.md.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }

# "package benchmark" for every [[bench]] of ours.
benches=$(cargo metadata --format-version 1 --no-deps --locked | python3 -c '
import json, sys
for package in json.load(sys.stdin)["packages"]:
    for target in package["targets"]:
        if "bench" in target["kind"]:
            print(package["name"], target["name"])
')
[[ -n $benches ]] || { say "there are no benchmarks yet"; exit 1; }
[[ $# -eq 0 ]] || benches=$(grep -E " ($(paste -sd'|' <<<"$(printf '%s\n' "$@")"))\$" <<<"$benches") ||
    { say "there is no benchmark named $*"; exit 1; }

say "building the benchmarks, optimised; the first time takes some minutes"
while read -r package name; do
    cargo bench --locked --package "$package" --bench "$name" --no-run
done <<<"$benches"

load=$(cut -d' ' -f1 /proc/loadavg)
say "$(nproc) processors, load $load (figures mean something only on a machine that is otherwise idle)"
number=0
while read -r package name; do
    number=$((number + 1))
    say "[$number/$(wc -l <<<"$benches")] $name, of $package"
    cargo bench --locked --package "$package" --bench "$name"
done <<<"$benches"
