//! The sandbox's helper, built beside this crate's tests so that they start real programs.

fn main() {
    deskhand_sandbox::helper_main()
}
