//! Links the helper statically where the C library for that is installed.
//!
//! The helper is started for every task, and the dynamic loader takes a third of its start-up. Cargo cannot ask for a static C
//! library for one program of a package, so the two shared libraries that a Rust program names to the linker are replaced
//! by scripts that name the static ones. Without `libc.a` the helper is linked like everything else and works the same.

use std::path::Path;
use std::process::Command;

/// What the linker is asked for, and what it shall take instead.
const REPLACED: [(&str, &str); 3] = [
    ("libm.so", "INPUT(-l:libm.a)"),
    ("libgcc_s.so", "INPUT(-l:libgcc_eh.a -l:libgcc.a)"),
    (
        "libc.so",
        "INPUT(-l:libc.a -l:libgcc_eh.a -l:libgcc.a -l:libc.a)",
    ),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let gnu =
        variable("CARGO_CFG_TARGET_OS") == "linux" && variable("CARGO_CFG_TARGET_ENV") == "gnu";
    let native = variable("HOST") == variable("TARGET");
    let out = variable("OUT_DIR");
    if !(gnu
        && native
        && ["libc.a", "libgcc_eh.a"]
            .iter()
            .all(|name| is_installed(name)))
    {
        return;
    }
    let written = REPLACED
        .iter()
        .all(|(name, script)| std::fs::write(Path::new(&out).join(name), script).is_ok());
    if written {
        println!("cargo::rustc-link-arg-bin=deskhand-sandbox=-L{out}");
        for argument in ["-no-pie", "-static"] {
            println!("cargo::rustc-link-arg-bin=deskhand-sandbox={argument}");
        }
    }
}

/// Asks the compiler that links for the path of a library; it repeats the name when it has none.
fn is_installed(name: &str) -> bool {
    let asked = Command::new("cc")
        .arg(format!("-print-file-name={name}"))
        .output();
    asked
        .is_ok_and(|answer| Path::new(String::from_utf8_lossy(&answer.stdout).trim()).is_absolute())
}
