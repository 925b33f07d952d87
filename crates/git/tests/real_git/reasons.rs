//! Why argv were handed over: counted by reason, by verb and by state.

use std::collections::BTreeMap;

/// States whose repositories are of another make than nearly all there are: counted apart.
const APART: [&str; 2] = ["reftable", "sha256"];

/// One count with the first case of it.
#[derive(Debug, Default)]
struct Count {
    times: usize,
    first: String,
}

/// All that was handed over.
#[derive(Debug, Default)]
pub(crate) struct Reasons {
    by_reason: BTreeMap<(u8, String), Count>,
    by_verb: BTreeMap<(u8, String), usize>,
    by_state: BTreeMap<(u8, String), usize>,
    /// By tier: cases, and those handed over, outside of the states counted apart.
    usual: BTreeMap<u8, (usize, usize)>,
}

impl Reasons {
    /// Counts a case, handed over or not.
    pub(crate) fn case(&mut self, tier: u8, state: &str, handed_over: bool) {
        if !APART.contains(&state) {
            let (cases, over) = self.usual.entry(tier).or_default();
            *cases += 1;
            *over += usize::from(handed_over);
        }
    }

    /// Counts one that was handed over.
    pub(crate) fn add(&mut self, tier: u8, verb: &str, state: &str, argv: &str, reason: &str) {
        let count = self.by_reason.entry((tier, reason.into())).or_default();
        count.times += 1;
        if count.first.is_empty() {
            count.first = format!("[{state}] {argv}");
        }
        *self.by_verb.entry((tier, verb.into())).or_default() += 1;
        *self.by_state.entry((tier, state.into())).or_default() += 1;
    }

    /// Writes the three tables, the most frequent first.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        for tier in [1, 2] {
            let (cases, over) = self.usual.get(&tier).copied().unwrap_or_default();
            text.push_str(&format!(
                "tier {tier} without the states {}: {cases} cases, {over} handed over ({:.2} %)\n",
                APART.join(" and "),
                100.0 * over as f64 / cases.max(1) as f64,
            ));
        }
        text.push_str("\nhanded over: tier, times, reason, an example\n");
        let mut reasons: Vec<_> = self.by_reason.iter().collect();
        reasons.sort_by_key(|((tier, _), count)| (*tier, std::cmp::Reverse(count.times)));
        for ((tier, reason), count) in reasons {
            text.push_str(&format!(
                "{tier} {:>5}  {reason}    {}\n",
                count.times, count.first
            ));
        }
        for (what, counts) in [("verb", &self.by_verb), ("state", &self.by_state)] {
            text.push_str(&format!("\nhanded over: tier, times, {what}\n"));
            let mut counts: Vec<_> = counts.iter().collect();
            counts.sort_by_key(|((tier, _), times)| (*tier, std::cmp::Reverse(**times)));
            for ((tier, name), times) in counts {
                text.push_str(&format!("{tier} {times:>5}  {name}\n"));
            }
        }
        text.push('\n');
        text
    }
}
