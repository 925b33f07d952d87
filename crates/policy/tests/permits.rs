//! A permit cannot be forged, and a question cannot be answered twice: neither compiles.

#[test]
fn forging_a_permit_does_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/compile_fail/control.rs");
    cases.compile_fail("tests/compile_fail/forged_permit.rs");
    cases.compile_fail("tests/compile_fail/approved_twice.rs");
}
