use deskhand_policy::{Permit, Question};

fn answered_once(question: Question) -> Permit {
    question.approve()
}

fn main() {
    let _ = answered_once;
}
