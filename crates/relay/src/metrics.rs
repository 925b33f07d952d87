//! What a relay counts, for Prometheus. Labels are words of our own, never names or ids of callers'.

use std::time::Duration;

use deskhand_protocol::{Source, TaskStatus};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::broker::Record;

/// Bounds of what takes from a millisecond to an hour, in seconds.
const LONG: [f64; 12] = [
    0.005, 0.02, 0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 300.0, 900.0, 3_600.0,
];

/// Bounds of a round trip, in seconds.
const SHORT: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0];

/// Which tasks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    status: &'static str,
    action: &'static str,
    source: &'static str,
}

/// Which kind of task.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    action: &'static str,
}

/// What a relay counts.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// Sessions of devices that began; more than there are devices are reconnects.
    pub(crate) sessions: Counter,
    /// Watchers that were told of a gap.
    pub(crate) gaps: Counter,
    ended: Family<Ended, Counter>,
    durations: Durations,
    waits: Wait,
    latency: Latency,
}

#[derive(Debug)]
struct Durations(Family<Kind, Histogram>);

impl Default for Durations {
    fn default() -> Self {
        Self(Family::new_with_constructor(|| Histogram::new(LONG)))
    }
}

#[derive(Debug)]
struct Wait(Histogram);

impl Default for Wait {
    fn default() -> Self {
        Self(Histogram::new(LONG))
    }
}

#[derive(Debug)]
struct Latency(Histogram);

impl Default for Latency {
    fn default() -> Self {
        Self(Histogram::new(SHORT))
    }
}

/// What is read when it is asked for.
#[derive(Debug)]
pub(crate) struct Now {
    pub(crate) n_devices: u32,
    pub(crate) n_watchers: usize,
    pub(crate) n_open_tasks: u64,
    pub(crate) n_waiting_tasks: u64,
}

impl Metrics {
    /// Counts a task that ended.
    pub(crate) fn task_ended(&self, record: &Record) {
        let action = record.task.action.kind();
        let ended = Ended {
            status: TaskStatus::as_str(record.status),
            action,
            source: Source::as_str(record.task.source),
        };
        self.ended.get_or_create(&ended).inc();
        if let Some(result) = &record.result {
            let took = Duration::from_millis(result.outcome.duration_ms);
            let durations = self.durations.0.get_or_create(&Kind { action });
            durations.observe(took.as_secs_f64());
        }
    }

    /// Counts how long a caller waited.
    pub(crate) fn waited(&self, wait: Duration) {
        self.waits.0.observe(wait.as_secs_f64());
    }

    /// Counts a beat of a link.
    pub(crate) fn beat(&self, round_trip: Duration) {
        self.latency.0.observe(round_trip.as_secs_f64());
    }

    /// Writes everything in the text format of OpenMetrics 1.0.
    pub(crate) fn text(&self, now: &Now) -> String {
        let mut registry = Registry::with_prefix("deskhand");
        let gauge = |value: i64| {
            let gauge: Gauge = Gauge::default();
            gauge.set(value);
            gauge
        };
        let count = |n: u64| gauge(i64::try_from(n).unwrap_or(i64::MAX));
        registry.register(
            "devices_connected",
            "Devices with a link",
            count(now.n_devices.into()),
        );
        registry.register(
            "watchers",
            "Open timelines and task streams",
            count(now.n_watchers as u64),
        );
        registry.register(
            "tasks_open",
            "Tasks that have not ended",
            count(now.n_open_tasks),
        );
        registry.register(
            "tasks_waiting",
            "Tasks that no device has accepted yet",
            count(now.n_waiting_tasks),
        );
        registry.register(
            "device_sessions",
            "Sessions of devices that began",
            self.sessions.clone(),
        );
        registry.register("timeline_gaps", "Watchers told of a gap", self.gaps.clone());
        registry.register("tasks_ended", "Tasks that ended", self.ended.clone());
        registry.register_with_unit(
            "task_duration",
            "How long attempts ran",
            Unit::Seconds,
            self.durations.0.clone(),
        );
        registry.register_with_unit(
            "caller_wait",
            "How long callers waited for results",
            Unit::Seconds,
            self.waits.0.clone(),
        );
        registry.register_with_unit(
            "link_latency",
            "Round trips of links",
            Unit::Seconds,
            self.latency.0.clone(),
        );
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry)
            .expect("a string takes any text");
        text
    }
}
