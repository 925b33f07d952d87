use deskhand_policy::{Grant, Permit};
use deskhand_protocol::{Action, task::EchoAction};

fn main() {
    let action = Action::Echo(EchoAction { text: "hi".to_owned() });
    let _ = Permit { action, grant: Grant::Nothing };
}
