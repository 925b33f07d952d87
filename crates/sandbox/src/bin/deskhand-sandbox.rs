//! The helper that confines one task: started by the agent for each task, ends with it.
//!
//! It takes its plan from the control socket that is its standard input, so started by hand it only says what it is.

fn main() {
    #[cfg(target_os = "linux")]
    deskhand_sandbox::helper_main();
    #[cfg(not(target_os = "linux"))]
    std::process::exit(64);
}
