//! Keeps a folder the same as a freshly generated one.
//!
//! Files that did not change keep their date, so that cargo builds nothing again for them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// File name, from the folder and with `/`, to content.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// Makes a folder hold exactly `wanted`; returns how many files changed.
pub(crate) fn write(wanted: &Files, folder: &Path) -> Result<usize> {
    let stale = differences(wanted, &read(folder)?);
    for name in &stale {
        let file = folder.join(name);
        match wanted.get(name) {
            Some(content) => {
                let parent = file.parent().unwrap_or(folder);
                fs::create_dir_all(parent).and_then(|()| fs::write(&file, content))
            }
            None => fs::remove_file(&file),
        }
        .with_context(|| format!("write {}", file.display()))?;
    }
    Ok(stale.len())
}

/// Reads the files below a folder; none when there is no such folder.
pub(crate) fn read(folder: &Path) -> Result<Files> {
    let mut files = Files::new();
    if folder.exists() {
        collect(folder, "", &mut files)?;
    }
    Ok(files)
}

/// Returns the names of files that are missing, too many or different.
pub(crate) fn differences(wanted: &Files, found: &Files) -> Vec<String> {
    let gone = found.keys().filter(|name| !wanted.contains_key(*name));
    let written = wanted
        .iter()
        .filter(|(name, content)| found.get(*name) != Some(content));
    written.map(|(name, _)| name).chain(gone).cloned().collect()
}

fn collect(folder: &Path, prefix: &str, files: &mut Files) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry?.path();
        let last = path.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{prefix}{last}");
        if path.is_dir() {
            collect(&path, &format!("{name}/"), files)?;
        } else {
            let content = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
            files.insert(name, content);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Files, differences, read, write};

    fn files(list: &[(&str, &str)]) -> Files {
        let owned = |(name, content): &(&str, &str)| (name.to_string(), content.as_bytes().into());
        list.iter().map(owned).collect()
    }

    #[test]
    fn what_changed_appeared_or_went_differs() {
        let wanted = files(&[("A.ts", "1"), ("B.ts", "2"), ("C.ts", "3")]);
        let found = files(&[("A.ts", "1"), ("B.ts", "old"), ("D.ts", "4")]);
        assert_eq!(differences(&wanted, &found), ["B.ts", "C.ts", "D.ts"]);
        assert_eq!(differences(&wanted, &wanted), [""; 0]);
    }

    #[test]
    fn a_folder_becomes_what_is_wanted_and_is_left_alone_then() {
        let folder = tempfile::tempdir().unwrap();
        write(&files(&[("old.js", "1"), ("a/b.js", "2")]), folder.path()).unwrap();
        let wanted = files(&[("a/b.js", "3"), ("c.js", "4")]);
        assert_eq!(write(&wanted, folder.path()).unwrap(), 3);
        assert_eq!(read(folder.path()).unwrap(), wanted);
        assert_eq!(write(&wanted, folder.path()).unwrap(), 0);
    }
}
