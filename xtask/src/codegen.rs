//! The TypeScript types of the wire: generated from `deskhand-protocol`, committed under `ui/`.
//!
//! Every type that is `#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]` carries a test
//! that writes it; running those tests in one process writes them all. They are written beside the
//! target folder first and compared then, so that a type that is gone goes from `ui/` as well, and
//! a file that did not change keeps its date.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::run::{cargo, read, root, target_dir};

/// Where the types lie, from the root of the repository.
pub(crate) const TARGET: &str = "ui/src/lib/protocol";

/// The file that names all others, so that the viewer has one place to import from.
const INDEX: &str = "index.ts";

/// File name to content.
type Files = BTreeMap<String, String>;

/// Makes `ui/` hold exactly the generated types; returns how many files changed.
pub(crate) fn write() -> Result<usize> {
    let target = root().join(TARGET);
    fs::create_dir_all(&target).with_context(|| format!("make {TARGET}"))?;
    let (wanted, found) = (generate()?, read_files(&target)?);
    let stale = differences(&wanted, &found);
    for name in &stale {
        let file = target.join(name);
        match wanted.get(name) {
            Some(text) => fs::write(&file, text),
            None => fs::remove_file(&file),
        }
        .with_context(|| format!("write {}", file.display()))?;
    }
    Ok(stale.len())
}

/// Returns the committed files that are not what would be generated now.
pub(crate) fn stale() -> Result<Vec<String>> {
    let found = read_files(&root().join(TARGET))?;
    let names = differences(&generate()?, &found);
    Ok(names
        .into_iter()
        .map(|name| format!("{TARGET}/{name}"))
        .collect())
}

/// Generates all types from the protocol crate as it is now.
fn generate() -> Result<Files> {
    let scratch = target_dir().join("protocol-types");
    if scratch.exists() {
        fs::remove_dir_all(&scratch).with_context(|| format!("empty {}", scratch.display()))?;
    }
    fs::create_dir_all(&scratch).with_context(|| format!("make {}", scratch.display()))?;
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
    let mut files = read_files(&scratch)?;
    files.insert(INDEX.to_owned(), index(&files));
    Ok(files)
}

fn index(files: &Files) -> String {
    let mut index = "// Written by `cargo xtask codegen`.\n".to_owned();
    for name in files.keys().filter_map(|name| name.strip_suffix(".ts")) {
        index.push_str(&format!("export type * from \"./{name}\";\n"));
    }
    if files.is_empty() {
        index.push_str("export {};\n");
    }
    index
}

/// Returns the names of files that are missing, too many or different.
fn differences(wanted: &Files, found: &Files) -> Vec<String> {
    let gone = found.keys().filter(|name| !wanted.contains_key(*name));
    let written = wanted
        .iter()
        .filter(|(name, text)| found.get(*name) != Some(text));
    written.map(|(name, _)| name).chain(gone).cloned().collect()
}

/// Reads the files below a folder, by their path from it; none when there is no such folder.
fn read_files(dir: &Path) -> Result<Files> {
    let mut files = Files::new();
    if dir.exists() {
        collect(dir, "", &mut files)?;
    }
    Ok(files)
}

fn collect(dir: &Path, prefix: &str, files: &mut Files) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))? {
        let path = entry?.path();
        let last = path.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{prefix}{last}");
        if path.is_dir() {
            collect(&path, &format!("{name}/"), files)?;
        } else {
            let text = fs::read_to_string(&path);
            files.insert(
                name,
                text.with_context(|| format!("read {}", path.display()))?,
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Files, differences, index};

    fn files(list: &[(&str, &str)]) -> Files {
        list.iter()
            .map(|(name, text)| (name.to_string(), text.to_string()))
            .collect()
    }

    #[test]
    fn what_changed_appeared_or_went_is_stale() {
        let wanted = files(&[("A.ts", "1"), ("B.ts", "2"), ("C.ts", "3")]);
        let found = files(&[("A.ts", "1"), ("B.ts", "old"), ("D.ts", "4")]);
        assert_eq!(differences(&wanted, &found), ["B.ts", "C.ts", "D.ts"]);
        assert_eq!(differences(&wanted, &wanted), [""; 0]);
    }

    #[test]
    fn the_index_names_every_type() {
        let index = index(&files(&[("Event.ts", ""), ("json/Value.ts", "")]));
        assert_eq!(
            index,
            "// Written by `cargo xtask codegen`.\n\
             export type * from \"./Event\";\n\
             export type * from \"./json/Value\";\n"
        );
    }
}
