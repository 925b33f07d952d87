//! Any text is read as a rules file without a crash, and every fault names a line of it.
#![no_main]

use deskhand_policy::Rules;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Rules::parse(text, |_| None) {
        Ok(rules) => drop(rules.views()),
        Err(error) => assert!(error.line >= 1 && error.line <= text.lines().count() + 1),
    }
});
