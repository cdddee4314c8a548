#!/usr/bin/env bash
# Feeds the parsers, session machines and models new random input for some minutes: `fuzz.sh 10`, or `fuzz.sh 10 ingest`
# for one of the targets in fuzz/src/lib.rs.
#
# Most of the time goes to libFuzzer, which learns from what the code did with the last input. It needs nothing but
# stable Rust and a C++ compiler: our crates are compiled with LLVM's coverage counters, those of others are not. New
# inputs gather in .cache/fuzz/TARGET; one that fails is left there as crash-… and is shown how to run again. The rest
# of the time goes to the property tests (everything written with proptest!) and the store's model tests, each with new
# seeds and many more cases than in `make test`; a failure prints the smallest input that shows it.
set -euo pipefail
cd "$(dirname "$0")/.."

minutes=${1:?usage: fuzz.sh MINUTES [TARGET]}
only=${2:-}
say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }

# Builds the fuzzer and prints where it is.
build_fuzzer() {
    RUSTC_WORKSPACE_WRAPPER="$PWD/fuzz/instrument.sh" \
        cargo build --locked --quiet --package magpie-fuzz-engine --features engine --bin fuzz
    echo "$PWD/target/debug/fuzz"
}

# name, longest input and further seeds of every target, as fuzz/src/lib.rs lists them.
targets() {
    sed -nE 's/.*Target \{ *name: "([a-z0-9_]+)".*longest: ([0-9]+) << 10.*/\1 \2/p' <(tr '\n' ' ' <fuzz/src/lib.rs |
        sed 's/Target {/\nTarget {/g')
}

seeds() {
    tr '\n' ' ' <fuzz/src/lib.rs | grep -oE "name: \"$1\"[^}]*" | grep -oE 'seeds: &\[[^]]*\]' |
        grep -oE '"[^"]+"' | tr -d '"' || true
}

fuzz() {
    local fuzzer=$1 name=$2 longest=$3 seconds=$4 found=$PWD/.cache/fuzz/$2
    mkdir -p "$found"
    say "$name for $seconds s"
    # shellcheck disable=SC2046
    TARGET=$name "$fuzzer" -max_total_time="$seconds" -max_len=$((longest * 1024)) -timeout=20 -rss_limit_mb=2048 \
        -print_final_stats=0 -verbosity=0 -artifact_prefix="$found/" \
        "$found" "fuzz/corpus/$name" $(seeds "$name") ||
        { say "$name failed; to see it again: TARGET=$name RUST_BACKTRACE=1 $fuzzer $found/crash-…"; exit 1; }
}

property_tests() {
    local end=$1 round=0 names pattern
    names=$(grep -rlE 'proptest! *\{' crates --include='*.rs' |
        xargs grep -hoE '^ *fn [a-z0-9_]+\([^)]* in ' | sed -E 's/^ *fn ([a-z0-9_]+).*/\1/' | sort -u)
    pattern=$(paste -sd'|' <<<"$names")
    export PROPTEST_CASES=${PROPTEST_CASES:-5000}
    while ((SECONDS < end)); do
        round=$((round + 1))
        export MAGPIE_TEST_SEED=$RANDOM$RANDOM
        say "property tests, round $round, seed $MAGPIE_TEST_SEED"
        if command -v cargo-nextest >/dev/null; then
            cargo nextest run --workspace --locked -E "test(/(^|::)($pattern)\$/) | (package(magpie-store) & binary(kv))"
        else
            # shellcheck disable=SC2086
            cargo test --workspace --locked --quiet -- $names
        fi
    done
}

fuzzer=$(build_fuzzer)
if [[ -n $only ]]; then
    longest=$(targets | sed -nE "s/^$only //p")
    [[ -n $longest ]] || { say "there is no target $only; the targets are $(targets | cut -d' ' -f1 | paste -sd' ')"; exit 1; }
    fuzz "$fuzzer" "$only" "$longest" $((minutes * 60))
    exit
fi
count=$(targets | wc -l)
# Two thirds of the time for the fuzzer, one for the rest.
share=$((minutes * 40 / count))
while read -r name longest; do
    fuzz "$fuzzer" "$name" "$longest" $((share > 0 ? share : 1))
done < <(targets)
cargo build --workspace --tests --locked
property_tests $((SECONDS + minutes * 20))
say "nothing found"
