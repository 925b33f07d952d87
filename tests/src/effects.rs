//! A file to which each task appends its name: what really ran, however it was reported.

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::{Value, json};

/// The side effects of tasks.
#[derive(Debug, Clone)]
pub struct Effects(PathBuf);

impl Effects {
    /// Looks at a file.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Returns the command of a task that appends its name.
    pub fn append(&self, name: &str) -> Value {
        // One small write to a file opened for appending is one piece (POSIX, O_APPEND).
        json!(["sh", "-c", format!("echo {name} >> '{}'", self.0.display())])
    }

    /// Returns the command of a task that appends its name after some seconds.
    pub fn append_after(&self, name: &str, seconds: &str) -> Value {
        json!([
            "sh",
            "-c",
            format!("sleep {seconds}; echo {name} >> '{}'", self.0.display())
        ])
    }

    /// Counts how often each name was appended.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for name in std::fs::read_to_string(&self.0).unwrap_or_default().lines() {
            *counts.entry(name.to_owned()).or_default() += 1;
        }
        counts
    }

    /// Returns the names in the order in which they were appended.
    pub fn names(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Counts how often a name was appended.
    pub fn count(&self, name: &str) -> usize {
        self.counts().get(name).copied().unwrap_or(0)
    }

    /// Fails the test when a name was appended twice.
    pub fn assert_none_twice(&self) {
        let twice: Vec<_> = self.counts().into_iter().filter(|(_, n)| *n > 1).collect();
        assert!(twice.is_empty(), "ran more than once: {twice:?}");
    }
}
