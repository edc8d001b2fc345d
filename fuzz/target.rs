//! Every target for cargo-fuzz: the program's name says which.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();
    TARGET.get_or_init(|| {
        let program = std::env::current_exe().expect("a program");
        let name = program.file_stem().expect("a name").to_string_lossy().into_owned();
        let all = snapvm_protocol::fuzz::TARGETS.iter().chain(snapvm_agent::fuzz::TARGETS);
        all.copied().find(|(other, _)| *other == name).expect("a target of this name").1
    })(bytes);
});
