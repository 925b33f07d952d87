//! The assistants that instructions are written for, and the instructions.

use serde::{Deserialize, Serialize};

/// Who instructions are for; each has a limit of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Assistant {
    /// ChatGPT's custom instructions, beside a GPT or an app that has the tools.
    Chatgpt,
    /// The instructions of a custom GPT with actions.
    Gpt,
    /// Claude, with the tools over MCP.
    Claude,
    /// Gemini CLI, with the tools over MCP.
    Gemini,
    /// Whoever can send an HTTP request.
    Generic,
}

impl Assistant {
    /// Every assistant.
    pub const ALL: [Self; 5] = [
        Self::Chatgpt,
        Self::Gpt,
        Self::Claude,
        Self::Gemini,
        Self::Generic,
    ];

    /// Returns the word, as on the wire and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chatgpt => "chatgpt",
            Self::Gpt => "gpt",
            Self::Claude => "claude",
            Self::Gemini => "gemini",
            Self::Generic => "generic",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }

    /// Returns the most characters its instructions may have. Published for ChatGPT (1,500 a field)
    /// and GPTs (8,000); the others publish none, and a model reads a short text better.
    pub fn max_chars(self) -> usize {
        match self {
            Self::Chatgpt => 1_500,
            Self::Gpt => 8_000,
            Self::Claude | Self::Gemini | Self::Generic => 6_000,
        }
    }
}

/// Instructions for an assistant. No secret is in them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PromptView {
    /// Who they are for.
    pub assistant: Assistant,
    /// The text, to be pasted as it is.
    pub text: String,
    /// How many characters it has.
    pub n_chars: usize,
    /// How many it may have.
    pub max_chars: usize,
}
