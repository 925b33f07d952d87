//! Collects how long answers took and prints what can be compared.

use std::{collections::BTreeMap, time::Duration};

/// All answers of all rounds, by contender and concurrency.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    order: Vec<String>,
    taken: BTreeMap<(String, usize), Series>,
}

#[derive(Debug, Default)]
struct Series {
    micros: Vec<u64>,
    asked_for: Duration,
}

impl Series {
    fn quantile(&self, q: f64) -> f64 {
        let mut sorted = self.micros.clone();
        sorted.sort_unstable();
        let place = ((sorted.len() - 1) as f64 * q).round() as usize;
        sorted[place] as f64
    }

    fn per_second(&self) -> f64 {
        self.micros.len() as f64 / self.asked_for.as_secs_f64()
    }
}

impl Figures {
    /// Adds one round of one contender.
    pub(crate) fn add(
        &mut self,
        name: &str,
        concurrency: usize,
        taken: Vec<Duration>,
        asked_for: Duration,
    ) {
        if !self.order.iter().any(|known| known == name) {
            self.order.push(name.to_owned());
        }
        let series = self
            .taken
            .entry((name.to_owned(), concurrency))
            .or_default();
        series
            .micros
            .extend(taken.iter().map(|t| u64::try_from(t.as_micros()).unwrap()));
        series.asked_for += asked_for;
    }

    /// Prints p50, p99 and answers per second.
    pub(crate) fn print_table(&self) {
        println!(
            "{:<18} {:>4} {:>10} {:>10} {:>10} {:>8}",
            "", "c", "p50 ms", "p99 ms", "rps", "answers"
        );
        for name in &self.order {
            for concurrency in [1, 8, 64] {
                let Some(series) = self.taken.get(&(name.clone(), concurrency)) else {
                    continue;
                };
                println!(
                    "{name:<18} {concurrency:>4} {:>10.3} {:>10.3} {:>10.0} {:>8}",
                    series.quantile(0.5) / 1e3,
                    series.quantile(0.99) / 1e3,
                    series.per_second(),
                    series.micros.len(),
                );
            }
        }
    }

    /// Prints the ratios that have a bound.
    pub(crate) fn print_ratios(&self) {
        let p50 = |name: &str| self.taken[&(name.to_owned(), 1)].quantile(0.5);
        let rps = |name: &str, c: usize| self.taken[&(name.to_owned(), c)].per_second();
        let shell = p50("shell echo") - p50("bare echo") - p50("floor");
        println!();
        println!(
            "echo / floor, p50              {:>6.2}  (at most 3)",
            p50("echo") / p50("floor")
        );
        println!(
            "shell − bare echo − floor      {:>6.2}  fsyncs (at most 4)",
            shell / p50("fsync")
        );
        println!(
            "git status / bare git status   {:>6.2}  (below 1)",
            p50("git status") / p50("bare git status")
        );
        for name in ["echo", "git status", "shell echo"] {
            let rise = rps(name, 8) / rps(name, 1);
            println!("{name:<10} rps, 8 over 1         {rise:>6.2}  (above 1)");
        }
    }
}

/// Prints percentiles and returns the 99th, in milliseconds.
pub(crate) fn print_percentiles(what: &str, mut taken: Vec<Duration>) -> f64 {
    taken.sort_unstable();
    let at = |share: f64| {
        let index = (taken.len() as f64 * share) as usize;
        taken[index.min(taken.len() - 1)].as_secs_f64() * 1_000.0
    };
    println!(
        "{what:<34} n {:>6}  p50 {:>7.2} ms  p95 {:>7.2} ms  p99 {:>7.2} ms  max {:>7.2} ms",
        taken.len(),
        at(0.5),
        at(0.95),
        at(0.99),
        at(1.0)
    );
    at(0.99)
}
