//! Any text is read as a command line without a crash; what the strict lexer accepts and writes anew is
//! accepted again, with the same words; and what it accepts the grammar reads too.
#![no_main]

use deskhand_policy::command_line::{self, Shape, grammar, lexer};
use deskhand_protocol::Command;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let reading = command_line::read(&Command::Line(text.to_owned()));
    if let Ok(script) = lexer::lex(text) {
        let quoted = script.quoted();
        // Quoting makes it longer, perhaps too long.
        if quoted.len() <= command_line::MAX_BYTES && !quoted.contains('\\') {
            let again = lexer::lex(&quoted).expect("what was written anew is accepted");
            assert_eq!(again.commands, script.commands);
            assert_eq!(again.operators, script.operators);
        }
        let is_readable = !matches!(reading.shape, Shape::Unreadable(_));
        if quoted.len() <= command_line::MAX_BYTES && is_readable {
            let outline = grammar::read(&quoted).expect("the grammar reads what the lexer writes");
            assert!(outline.found.len() >= script.commands.len());
        }
    }
    assert!(!reading.canonical.is_empty());
});
