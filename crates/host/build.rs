//! Embeds the built viewer, `ui/dist`, so that a relay can serve it. Without npm there is none, and
//! the relay's page says so.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

fn main() {
    // Read when this runs: a folder of built things may have been copied from another checkout.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let dist = Path::new(&here).join("../../ui/dist");
    println!("cargo:rerun-if-changed={}", dist.display());
    let mut paths = Vec::new();
    // The desktop application leaves a page there when the viewer is not built; it has no assets.
    if dist.join("assets").exists() {
        collect(&dist, "", &mut paths).expect("the built viewer can be read");
    }
    let mut code = String::from("&[\n");
    for (path, file) in paths.iter().filter(|(path, _)| !path.ends_with(".gz")) {
        let zipped = file.with_extension(format!(
            "{}.gz",
            file.extension().unwrap_or_default().to_string_lossy()
        ));
        let gzip = match zipped.exists() {
            true => format!("Some(include_bytes!({zipped:?}))"),
            false => "None".to_owned(),
        };
        let _ = writeln!(
            code,
            "    deskhand_relay::ViewerFile {{ path: {path:?}, content: include_bytes!({file:?}), gzip: {gzip} }},"
        );
    }
    code.push(']');
    let out = std::env::var_os("OUT_DIR").expect("cargo names a folder for what is made");
    fs::write(Path::new(&out).join("viewer.rs"), code).expect("the folder can be written to");
}

fn collect(folder: &Path, prefix: &str, found: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path().canonicalize()?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if path.is_dir() {
            println!("cargo:rerun-if-changed={}", path.display());
            collect(&path, &format!("{name}/"), found)?;
        } else {
            found.push((name, path));
        }
    }
    Ok(())
}
