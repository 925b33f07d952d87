//! Embeds the window's configuration, its permissions and the built viewer into the application.

use std::{fs, path::Path};

fn main() {
    let page = Path::new("ui/dist/index.html");
    if !page.exists() {
        // `cargo build` works without npm; the window then says what is missing.
        fs::create_dir_all("ui/dist").expect("the package folder can be written to");
        fs::write(
            page,
            "<!doctype html><title>Deskhand</title><p>The viewer is not built.",
        )
        .expect("the package folder can be written to");
        println!("cargo:warning=ui/dist is missing: the window shows a placeholder");
    }
    // Not told to cargo by tauri-build when the pattern is ours.
    println!("cargo:rerun-if-changed=src-tauri/capabilities");
    let attributes =
        tauri_build::Attributes::new().capabilities_path_pattern("./src-tauri/capabilities/**/*");
    if let Err(error) = tauri_build::try_build(attributes) {
        panic!("{error:#}");
    }
    // Schemas for editors, written to the root of the repository, which nothing reads.
    let _ = fs::remove_dir_all("gen");
}
