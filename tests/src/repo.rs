//! Repositories made by the real git.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// A repository in a directory.
#[derive(Debug)]
pub struct TestRepo(PathBuf);

impl TestRepo {
    /// Makes a repository without commits.
    pub fn empty(dir: &Path, options: &[&str]) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        let repo = Self(dir.to_owned());
        repo.git(&[&["init", "--quiet", "--initial-branch=main"], options].concat());
        repo
    }

    /// Makes a repository with one commit, a change that is not staged, one that is, and a file git
    /// does not know.
    pub fn dirty(dir: &Path) -> Self {
        let repo = Self::empty(dir, &[]);
        repo.write("README.md", "# Test\n");
        repo.write("src/main.rs", "fn main() {}\n");
        repo.git(&["add", "."]);
        repo.git(&["commit", "--quiet", "--message=Begin"]);
        repo.write("README.md", "# Test\n\nMore.\n");
        repo.write("staged.txt", "staged\n");
        repo.git(&["add", "staged.txt"]);
        repo.write("notes.txt", "notes\n");
        repo
    }

    /// Returns the directory.
    pub fn dir(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// Writes a file.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Runs the real git and returns its standard output.
    pub fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git")
            .args([
                "-c",
                "user.name=Test",
                "-c",
                "user.email=test@example.invalid",
            ])
            .args(args)
            .current_dir(&self.0)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_DATE", "2026-01-02T03:04:05Z")
            .env("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }
}
