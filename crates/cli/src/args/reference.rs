//! The whole reference as one text, so that a change of the command line is seen in review.

use clap::CommandFactory;

use super::Cli;

#[test]
fn the_reference_is_reviewed() {
    let mut command = Cli::command().term_width(100);
    command.build();
    let mut reference = String::new();
    write(&mut command, &mut reference);
    insta::assert_snapshot!("reference", reference);
}

fn write(command: &mut clap::Command, reference: &mut String) {
    if command.get_name() == "help" {
        return;
    }
    let name = command.get_bin_name().unwrap_or("deskhand").to_owned();
    let help = command.render_long_help().to_string();
    // Blank lines of the help are indented; a file of ours is not.
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    reference.push_str(&format!("## {name}\n\n{}\n\n", help.join("\n").trim_end()));
    for subcommand in command.get_subcommands_mut() {
        write(subcommand, reference);
    }
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}
