use deskhand_policy::{Permit, Question};

fn twice(question: Question) -> (Permit, Permit) {
    (question.approve(), question.approve())
}

fn main() {
    let _ = twice;
}
