#!/bin/sh
# Called by cargo in place of rustc for our own crates (RUSTC_WORKSPACE_WRAPPER): adds the counters by which libFuzzer
# sees where an input went. These are options of stable rustc; build scripts run without a fuzzer and get none.
case " $* " in
*" --crate-name build_script_build "* | *" --crate-type proc-macro "*) exec "$@" ;;
esac
exec "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1
