//! JSON form of report and snapshot, described in `_engine.pyi`.

use serde_json::{Map, Value, json};

use crate::limits::{INTERVAL_NS, SECOND};
use crate::plan::Plan;
use crate::stats::{Counts, SharedStats};
use crate::stats::{LabelStats, ThreadStats, Totals};
use crate::worker::UnfinishedWork;

/// Return the report of a load that has ended.
#[must_use]
pub fn report(
    plan: &Plan,
    shared: &SharedStats,
    stats: &ThreadStats,
    unfinished: &UnfinishedWork,
) -> Value {
    let counts = shared.counts();
    let timetable = shared.timetable();
    let ended = shared.ended_at().unwrap_or(shared.started);
    let measured = timetable.map_or(0, |timetable| {
        // A limit is reached with the last answer; the threads see it a little later.
        let is_limit = shared.why_ended() == "limit";
        let end = if is_limit {
            stats.last_answer.max(timetable.measure)
        } else {
            ended
        };
        end.saturating_sub(timetable.measure)
    });
    let opened_at = timetable.map_or(ended, |timetable| timetable.go);
    let setup: Map<String, Value> = named(plan.labels.all(), &stats.setup, true);
    json!({
        "seconds": seconds(measured),
        "opened_seconds": seconds(opened_at.saturating_sub(shared.started)),
        "connections": plan.connections,
        "opened": shared.opened(),
        "totals": totals(&counts.totals),
        "labels": named(plan.labels.all(), &stats.labels, true),
        "entries": named(&plan.entries, &stats.entries, false),
        "setup": setup,
        "series": series(&counts),
        "errors": errors(&counts),
        "unfinished": {
            "in_flight": unfinished.in_flight,
            "oldest_us": unfinished.oldest / 1_000,
            "backlog": unfinished.backlog,
        },
        "ended": shared.why_ended(),
    })
}

/// Return the snapshot of a load at `now`.
#[must_use]
pub fn snapshot(shared: &SharedStats, now: u64) -> Value {
    let counts = shared.counts();
    let timetable = shared.timetable();
    let (phase, since) = match timetable {
        _ if shared.is_done() => ("ended", shared.ended_at().unwrap_or(now)),
        None => ("opening", shared.started),
        Some(timetable) if now < timetable.measure => ("warming up", timetable.go),
        Some(timetable) => ("measuring", timetable.measure),
    };
    let elapsed = now.saturating_sub(since);
    let is_measured = timetable.is_some_and(|timetable| now >= timetable.measure);
    let recent = counts.recent(is_measured, elapsed);
    let errors: Map<String, Value> = counts
        .errors
        .seen()
        .map(|(kind, seen)| (kind.name().to_owned(), json!(seen.count)))
        .collect();
    json!({
        "phase": phase,
        "elapsed": seconds(elapsed),
        "open": shared.open.load(std::sync::atomic::Ordering::Relaxed),
        "totals": totals(&counts.totals),
        "recent": {
            "commands_per_second": recent.commands_per_second,
            "bytes_in_per_second": recent.bytes_in_per_second,
            "p50_us": recent.p50_us,
            "p99_us": recent.p99_us,
        },
        "errors": errors,
    })
}

/// Return the snapshot of a load that was not started.
#[must_use]
pub fn waiting() -> Value {
    json!({
        "phase": "waiting", "elapsed": 0.0, "open": 0, "totals": totals(&Totals::default()),
        "recent": {"commands_per_second": 0.0, "bytes_in_per_second": 0.0, "p50_us": 0, "p99_us": 0},
        "errors": {},
    })
}

/// Return the state of idle connections.
#[must_use]
pub fn idle_state(shared: &SharedStats, connections: u32, dropped: u64) -> Value {
    let idling = shared.open.load(std::sync::atomic::Ordering::Relaxed);
    let opening = shared.opening();
    let errors: Map<String, Value> = shared
        .counts()
        .errors
        .seen()
        .map(|(kind, seen)| (kind.name().to_owned(), json!([seen.count, seen.example])))
        .collect();
    json!({
        "idling": idling,
        "opening": opening,
        "failed": connections.saturating_sub(idling).saturating_sub(opening),
        "errors": errors,
        "arrivals_dropped": dropped,
    })
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / SECOND as f64
}

fn totals(totals: &Totals) -> Value {
    json!({
        "commands": totals.commands,
        "entries": totals.entries,
        "bytes_in": totals.bytes_in,
        "bytes_out": totals.bytes_out,
        "errors": totals.errors,
    })
}

fn named(names: &[String], rows: &[LabelStats], has_bytes: bool) -> Map<String, Value> {
    let counted = names.iter().zip(rows).filter(|(_, row)| !row.is_empty());
    counted
        .map(|(name, one)| (name.clone(), row(one, has_bytes)))
        .collect()
}

fn row(row: &LabelStats, has_bytes: bool) -> Value {
    let pairs: Vec<(u64, u64)> = row
        .histogram
        .iter()
        .flat_map(|histogram| {
            histogram
                .iter_recorded()
                .map(|value| (value.value_iterated_to(), value.count_at_value()))
        })
        .collect();
    let count: u64 = pairs.iter().map(|(_, count)| count).sum();
    let mut json = json!({ "count": count, "errors": row.errors, "histogram": pairs });
    if has_bytes && let Some(fields) = json.as_object_mut() {
        fields.insert("bytes_in".to_owned(), json!(row.bytes_in));
    }
    json
}

fn series(counts: &Counts) -> Value {
    let of = |get: fn(&Totals) -> u64| -> Vec<u64> {
        counts
            .intervals
            .iter()
            .map(|interval| get(&interval.totals))
            .collect()
    };
    let p99: Vec<u64> = counts
        .intervals
        .iter()
        .map(crate::stats::IntervalSum::p99_us)
        .collect();
    json!({
        "step_ms": INTERVAL_NS / 1_000_000,
        "commands": of(|totals| totals.commands),
        "bytes_in": of(|totals| totals.bytes_in),
        "errors": of(|totals| totals.errors),
        "p99_us": p99,
    })
}

fn errors(counts: &Counts) -> Map<String, Value> {
    let seen = counts.errors.seen();
    seen.map(|(kind, seen)| {
        let example = seen.example.as_deref().unwrap_or_default();
        (
            kind.name().to_owned(),
            json!({ "count": seen.count, "example": example }),
        )
    })
    .collect()
}
