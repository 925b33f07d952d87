//! What this machine can enforce.
//!
//! The answer comes from trying: the helper builds each layer once and says which stood. It waits on that one short-lived
//! process and never caches; whoever asks keeps the answer.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// How much of a profile is enforced, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Nothing but a process tree that ends, limits per process and a clean environment.
    None,
    /// No writes outside, no secrets read, no network; without a view of its own.
    Reduced,
    /// Everything the profile says.
    Full,
}

impl std::fmt::Display for Tier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Tier::None => "none",
            Tier::Reduced => "reduced",
            Tier::Full => "full",
        })
    }
}

/// What this machine can enforce, layer by layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Support {
    /// The best tier a task can have here.
    pub tier: Tier,
    /// Every layer we know, whether it is to be had or not.
    pub layers: Vec<Layer>,
}

/// One layer of the confinement on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// The layer's name, as in [`Child::applied`](crate::Child::applied).
    pub name: String,
    /// Whether it stood when it was tried.
    pub available: bool,
    /// What failed, when it did not.
    pub why_not: Option<String>,
    /// A command or a step that makes it available, where there is one.
    pub mend: Option<String>,
}

/// A layer that was needed and could not be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The layer's name.
    pub layer: String,
    /// The step of its set-up that failed.
    pub step: String,
    /// The system's error number, 0 when the kernel merely does not know the layer.
    pub errno: i32,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.errno {
            0 => write!(f, "{} ({})", self.layer, self.step),
            errno => write!(
                f,
                "{} ({}: {})",
                self.layer,
                self.step,
                std::io::Error::from_raw_os_error(errno)
            ),
        }
    }
}

/// Tries every layer once and returns what this machine can enforce. Takes some milliseconds and blocks for them.
///
/// A helper that is missing or not to be trusted gives tier `none` with the reason in the layer `helper`.
pub fn probe(helper: &Path) -> Support {
    match try_probe(helper) {
        Ok(support) => support,
        Err(why_not) => Support {
            tier: Tier::None,
            layers: vec![Layer {
                name: "helper".into(),
                available: false,
                why_not: Some(why_not),
                mend: None,
            }],
        },
    }
}

#[cfg(target_os = "linux")]
fn try_probe(helper: &Path) -> Result<Support, String> {
    crate::spawn::check_helper(helper)?;
    let mut command = std::process::Command::new(helper);
    command
        .arg("--probe")
        .env_clear()
        .envs(crate::spawn::helper_environment())
        .stdin(std::process::Stdio::null());
    let output = command
        .output()
        .map_err(|error| format!("start the helper: {error}"))?;
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("read the helper's answer: {error}"))
}

#[cfg(target_os = "macos")]
fn try_probe(_helper: &Path) -> Result<Support, String> {
    let available = Path::new(crate::macos::SANDBOX_EXEC).is_file();
    Ok(Support {
        tier: if available { Tier::Full } else { Tier::None },
        layers: vec![Layer {
            name: crate::macos::SANDBOX_EXEC.into(),
            available,
            why_not: (!available).then(|| "not there".into()),
            mend: None,
        }],
    })
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn try_probe(_helper: &Path) -> Result<Support, String> {
    Err("there is no confinement for this system".into())
}
