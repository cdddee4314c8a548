//! The target that the environment variable `TARGET` names, under libFuzzer: `scripts/fuzz.sh` sets it.
#![no_main]

use std::sync::LazyLock;

use targets::{TARGETS, Target};

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("TARGET").expect("TARGET names what to fuzz");
    TARGETS
        .iter()
        .find(|target| target.name == name)
        .expect("TARGET names one of the targets in fuzz/src/lib.rs")
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| (TARGET.run)(data));
