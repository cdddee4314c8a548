#!/usr/bin/env bash
# Feeds the parsers, session machines and models new random input for some minutes: `fuzz.sh 10`.
#
# What runs are the property tests of the crates (everything written with proptest!) and the store's model tests.
# In `make test` each runs once; here each draws new seeds again and again, with many more cases. A failure prints
# the smallest input that shows it.
set -euo pipefail
cd "$(dirname "$0")/.."

minutes=${1:?usage: fuzz.sh MINUTES}
export PROPTEST_CASES=${PROPTEST_CASES:-5000}

# Property tests are the functions whose arguments are drawn `in` something.
names=$(grep -rlE 'proptest! *\{' crates --include='*.rs' |
    xargs grep -hoE '^ *fn [a-z0-9_]+\([^)]* in ' | sed -E 's/^ *fn ([a-z0-9_]+).*/\1/' | sort -u)
count=$(wc -l <<<"$names")
printf '\033[1m==>\033[0m %s property tests and the model tests of the store, for %s minutes\n' "$count" "$minutes" >&2

pattern=$(paste -sd'|' <<<"$names")
cargo build --workspace --tests --locked
end=$((SECONDS + minutes * 60))
round=0
while ((SECONDS < end)); do
    round=$((round + 1))
    export MAGPIE_TEST_SEED=$RANDOM$RANDOM
    printf '\033[1m==>\033[0m round %s, seed %s, %s minutes left\n' "$round" "$MAGPIE_TEST_SEED" $(((end - SECONDS) / 60)) >&2
    if command -v cargo-nextest >/dev/null; then
        cargo nextest run --workspace --locked -E "test(/(^|::)($pattern)\$/) | (package(magpie-store) & binary(kv))"
    else
        cargo test --workspace --locked --quiet -- $names
    fi
done
printf '\033[1m==>\033[0m %s rounds, nothing found\n' "$round" >&2
