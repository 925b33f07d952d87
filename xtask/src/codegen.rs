//! The TypeScript types of the wire: generated from `deskhand-protocol`, committed under `ui/`.
//!
//! Every type that is `#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]` carries a test
//! that writes it; running those tests in one process writes them all. They are written below the
//! target folder first and compared then, so that a type that is gone goes from `ui/` as well.

use std::fs;

use anyhow::{Context, Result};

use crate::mirror::{self, Files};
use crate::run::{cargo, read, root, target_dir};

/// Where the types lie, from the root of the repository.
pub(crate) const TARGET: &str = "ui/src/lib/protocol";

/// The file that names all others, so that the viewer has one place to import from.
const INDEX: &str = "index.ts";

/// Makes `ui/` hold exactly the generated types; returns how many files changed.
pub(crate) fn write() -> Result<usize> {
    mirror::write(&generate()?, &root().join(TARGET))
}

/// Returns the committed files that are not what would be generated now.
pub(crate) fn stale() -> Result<Vec<String>> {
    let found = mirror::read(&root().join(TARGET))?;
    let names = mirror::differences(&generate()?, &found);
    let path = |name| format!("{TARGET}/{name}");
    Ok(names.into_iter().map(path).collect())
}

/// Generates all types from the protocol crate as it is now.
fn generate() -> Result<Files> {
    let scratch = target_dir().join("protocol-types");
    if scratch.exists() {
        fs::remove_dir_all(&scratch).with_context(|| format!("empty {}", scratch.display()))?;
    }
    let package = [
        "test",
        "--quiet",
        "-p",
        "deskhand-protocol",
        "--features",
        "ts",
        "--lib",
    ];
    let mut export = cargo(package);
    // JSON delivers numbers, never a `bigint`; the protocol keeps its integers below 2^53.
    export
        .arg("export_bindings")
        .env("TS_RS_LARGE_INT", "number");
    read(export.env("TS_RS_EXPORT_DIR", &scratch)).context("generate the TypeScript types")?;
    let mut files = mirror::read(&scratch)?;
    files.insert(INDEX.to_owned(), index(&files).into_bytes());
    Ok(files)
}

fn index(files: &Files) -> String {
    let mut index = "// Written by `cargo xtask codegen`.\n".to_owned();
    for name in files.keys().filter_map(|name| name.strip_suffix(".ts")) {
        index.push_str(&format!("export type * from \"./{name}\";\n"));
    }
    index
}

#[cfg(test)]
mod tests {
    use super::{Files, index};

    #[test]
    fn the_index_names_every_type() {
        let names = ["Event.ts", "json/Value.ts"];
        let files: Files = names.map(|name| (name.to_owned(), Vec::new())).into();
        assert_eq!(
            index(&files),
            "// Written by `cargo xtask codegen`.\n\
             export type * from \"./Event\";\n\
             export type * from \"./json/Value\";\n"
        );
    }
}
