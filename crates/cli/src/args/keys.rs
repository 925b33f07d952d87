//! `deskhand keys`.

use clap::{Args, Subcommand, builder::PossibleValuesParser, builder::TypedValueParser};
use deskhand_protocol::relay_request::Scope;

/// Keys by which callers are known
///
/// Only on the relay's own computer: what concerns keys never travels over the network.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    Create(KeysCreateArgs),
    /// List the keys, without their secrets
    List,
    /// End a key
    Revoke {
        /// Which key, by id or name
        key: String,
    },
}

/// Make a key and print it, once: only its hash is kept
#[derive(Debug, Args)]
pub(crate) struct KeysCreateArgs {
    /// What you call it
    pub(crate) name: String,
    /// What it may do; may be given more than once
    #[arg(
        long = "scope",
        value_name = "SCOPE",
        value_delimiter = ',',
        default_values = ["tasks:read", "tasks:run"],
        value_parser = scope()
    )]
    pub(crate) scopes: Vec<Scope>,
    /// Computer it reaches, by id or name; may be given more than once [default: all]
    #[arg(long = "device", value_name = "DEVICE")]
    pub(crate) devices: Vec<String>,
    /// How many days it is good for [default: until it is revoked]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub(crate) expires: Option<u32>,
    /// Workspace it may work in, by name or directory; may be given more than once [default: all]
    #[arg(long = "workspace", value_name = "WORKSPACE")]
    pub(crate) workspaces: Vec<String>,
    /// Kind of action it may ask for; may be given more than once [default: all]
    #[arg(
        long = "action",
        value_name = "ACTION",
        value_delimiter = ',',
        value_parser = ["git", "shell", "echo", "agent"]
    )]
    pub(crate) actions: Vec<String>,
    /// Let it read only, as if every workspace were at `observe`
    #[arg(long)]
    pub(crate) read_only: bool,
    /// How many requests a minute it may make; 0 for any number
    #[arg(long, value_name = "PER_MINUTE", default_value_t = 6_000)]
    pub(crate) rate_limit: u32,
}

fn scope() -> impl TypedValueParser<Value = Scope> {
    PossibleValuesParser::new(Scope::ALL.map(Scope::as_str))
        .map(|word| Scope::parse(&word).expect("the words are those of Scope"))
}
