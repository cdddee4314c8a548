#!/usr/bin/env bash
# Builds the `magpie` binary: `build.sh dev` quickly, `build.sh release` optimised.
set -euo pipefail
cd "$(dirname "$0")/.."

profile=${1:?usage: build.sh dev|release}
[[ $profile == dev ]] && folder=debug || folder=$profile

printf '\033[1m==>\033[0m building Magpie (%s); the first time takes some minutes\n' "$profile" >&2
cargo build --locked --package magpie --bin magpie --profile "$profile"
printf '\033[1m==>\033[0m built %s\n' "target/$folder/magpie" >&2
