//! `--dirstat`: how the changes are spread over directories, in per mille of all.

use crate::compare::diff_options::DiffOptions;
use crate::compare::pair::{Contents, Pair};
use crate::compare::rename;
use crate::compare::stat::Amount;
use crate::compare::userdiff;
use crate::outcome::{Out, Res, Stop};
use crate::text::bytes::{Bytes, lossy};
use crate::text::quote;

/// How damage is measured and shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dirstat {
    by_file: bool,
    pub(crate) by_line: bool,
    cumulative: bool,
    /// Less is not shown.
    permille: u64,
}

impl Default for Dirstat {
    fn default() -> Dirstat {
        Dirstat {
            by_file: false,
            by_line: false,
            cumulative: false,
            permille: 30,
        }
    }
}

impl Dirstat {
    /// Reads parameters such as `files,10,cumulative`.
    pub(crate) fn set(&mut self, text: &[u8]) -> Res<()> {
        for part in text.split(|b| *b == b',').filter(|p| !p.is_empty()) {
            match part {
                b"changes" => (self.by_line, self.by_file) = (false, false),
                b"lines" => (self.by_line, self.by_file) = (true, false),
                b"files" => (self.by_line, self.by_file) = (false, true),
                b"cumulative" => self.cumulative = true,
                b"noncumulative" => self.cumulative = false,
                number if number[0].is_ascii_digit() => {
                    let mut parts = number.splitn(2, |b| *b == b'.');
                    let whole = lossy(parts.next().unwrap_or_default()).parse::<u64>();
                    let tenth = match parts.next() {
                        None => Some(0),
                        Some(digits) if digits.iter().all(u8::is_ascii_digit) => {
                            Some(digits.first().map_or(0, |d| u64::from(d - b'0')))
                        }
                        Some(_) => None,
                    };
                    let (Ok(whole), Some(tenth)) = (whole, tenth) else {
                        return Err(refusal(number, "percentage"));
                    };
                    self.permille = whole * 10 + tenth;
                }
                other => return Err(refusal(other, "parameter")),
            }
        }
        Ok(())
    }
}

fn refusal(part: &[u8], what: &str) -> Stop {
    let complaint = match what {
        "percentage" => "Failed to parse dirstat cut-off percentage",
        _ => "Unknown dirstat parameter",
    };
    Stop::fatal(format!(
        "Failed to parse --dirstat/-X option parameter:\n  {complaint} '{}'\n",
        lossy(part)
    ))
}

/// Prints the directories; `amounts` are the counted lines of each pair where they are what is measured.
pub(crate) fn print(
    contents: &Contents<'_>,
    pairs: &[Pair],
    amounts: &[(Bytes, Amount)],
    options: &DiffOptions,
    out: &mut Out,
) -> Res<()> {
    let how = options.dirstat;
    let mut files: Vec<(Bytes, u64)> = Vec::new();
    let mut changed = 0;
    if how.by_line {
        for (name, amount) in amounts {
            let damage = match amount {
                Amount::Lines(added, deleted) => (added + deleted) as u64,
                // Bytes are made comparable to lines.
                Amount::Binary(added, deleted) => ((added + deleted) as u64).div_ceil(64),
                Amount::Unmerged => 0,
            };
            files.push((name.clone(), damage));
            changed += damage;
        }
    } else {
        for pair in pairs {
            contents.repo.cancel().check()?;
            let name = pair.path().to_vec();
            let same = pair.old.id == pair.new.id && !pair.old.id.is_zero();
            let damage = if same {
                0
            } else if how.by_file {
                1
            } else {
                damage(contents, pair)?
            };
            files.push((name, damage));
            changed += damage;
        }
    }
    if changed == 0 {
        return Ok(());
    }
    files.sort_by(|a, b| a.0.cmp(&b.0));
    let mut at = 0;
    gather(&files, &mut at, changed, b"", options, out);
    Ok(())
}

/// Bytes that went away or came.
fn damage(contents: &Contents<'_>, pair: &Pair) -> Res<u64> {
    let (old, new) = (contents.get(&pair.old)?, contents.get(&pair.new)?);
    let damage = if pair.old.exists() && pair.new.exists() {
        let text = !userdiff::is_binary(contents, &pair.old, &old)?;
        let new_text = !userdiff::is_binary(contents, &pair.new, &new)?;
        let (copied, added) = rename::count_changes(&old, text, &new, new_text);
        (old.len() as u64).saturating_sub(copied) + added
    } else {
        (old.len() + new.len()) as u64
    };
    // A file that changed counts, however little it did.
    Ok(damage.max(1))
}

/// Sums up a directory and prints it when it has enough on its own.
fn gather(
    files: &[(Bytes, u64)],
    at: &mut usize,
    changed: u64,
    base: &[u8],
    options: &DiffOptions,
    out: &mut Out,
) -> u64 {
    let (mut sum, mut sources) = (0, 0u64);
    while let Some((name, damage)) = files.get(*at) {
        if !name.starts_with(base) {
            break;
        }
        let rest = &name[base.len()..];
        let this = match rest.iter().position(|b| *b == b'/') {
            Some(slash) => {
                let below = &name[..base.len() + slash + 1];
                let this = gather(files, at, changed, below, options, out);
                sources += 1;
                this
            }
            None => {
                *at += 1;
                sources += 2;
                *damage
            }
        };
        sum += this;
    }
    // A directory that only passes on what is in another says nothing; neither does the top.
    if !base.is_empty() && sources != 1 && sum > 0 {
        let permille = sum * 1000 / changed;
        if permille >= options.dirstat.permille {
            out.put(format!("{:4}.{:01}% ", permille / 10, permille % 10));
            out.put(quote::c_style(base, options.quote));
            out.put("\n");
            if !options.dirstat.cumulative {
                return 0;
            }
        }
    }
    sum
}
