//! Report and snapshot as JSON, as `_engine.pyi` describes them.

use serde_json::{Map, Value, json};

use crate::board::{Board, Counts};
use crate::bounds::{SECOND, STEP_NS};
use crate::plan::Plan;
use crate::tally::{Row, Tally, Totals};
use crate::worker::Unfinished;

/// The report of a load that has ended.
#[must_use]
pub fn report(plan: &Plan, board: &Board, tally: &Tally, unfinished: &Unfinished) -> Value {
    let counts = board.counts();
    let timetable = board.timetable();
    let ended = board.ended_at().unwrap_or(board.started);
    let measured = timetable.map_or(0, |timetable| {
        // A limit is reached with the last answer; the threads notice a little later.
        let is_limit = board.why_ended() == "limit";
        let end = if is_limit {
            tally.last_answer.max(timetable.measure)
        } else {
            ended
        };
        end.saturating_sub(timetable.measure)
    });
    let opened_at = timetable.map_or(ended, |timetable| timetable.go);
    let setup: Map<String, Value> = named(plan.labels.all(), &tally.setup, true);
    json!({
        "seconds": seconds(measured),
        "opened_seconds": seconds(opened_at.saturating_sub(board.started)),
        "connections": plan.connections,
        "opened": board.opened(),
        "totals": totals(&counts.totals),
        "labels": named(plan.labels.all(), &tally.labels, true),
        "entries": named(&plan.entries, &tally.entries, false),
        "setup": setup,
        "series": series(&counts),
        "errors": errors(&counts),
        "unfinished": {
            "in_flight": unfinished.in_flight,
            "oldest_us": unfinished.oldest / 1_000,
            "backlog": unfinished.backlog,
        },
        "ended": board.why_ended(),
    })
}

/// How a load stands at `now`.
#[must_use]
pub fn snapshot(board: &Board, now: u64) -> Value {
    let counts = board.counts();
    let timetable = board.timetable();
    let (phase, since) = match timetable {
        _ if board.is_done() => ("ended", board.ended_at().unwrap_or(now)),
        None => ("opening", board.started),
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
        "open": board.open.load(std::sync::atomic::Ordering::Relaxed),
        "totals": totals(&counts.totals),
        "recent": {
            "commands_per_second": recent.commands_per_second,
            "octets_in_per_second": recent.octets_in_per_second,
            "p50_us": recent.p50_us,
            "p99_us": recent.p99_us,
        },
        "errors": errors,
    })
}

/// The snapshot of a load that was not started.
#[must_use]
pub fn waiting() -> Value {
    json!({
        "phase": "waiting", "elapsed": 0.0, "open": 0, "totals": totals(&Totals::default()),
        "recent": {"commands_per_second": 0.0, "octets_in_per_second": 0.0, "p50_us": 0, "p99_us": 0},
        "errors": {},
    })
}

/// How connections that idle stand.
#[must_use]
pub fn idle_state(board: &Board, connections: u32, dropped: u64) -> Value {
    let idling = board.open.load(std::sync::atomic::Ordering::Relaxed);
    let opening = board.opening();
    let errors: Map<String, Value> = board
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

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / SECOND as f64
}

fn totals(totals: &Totals) -> Value {
    json!({
        "commands": totals.commands,
        "entries": totals.entries,
        "octets_in": totals.octets_in,
        "octets_out": totals.octets_out,
        "errors": totals.errors,
    })
}

fn named(names: &[String], rows: &[Row], has_octets: bool) -> Map<String, Value> {
    let counted = names.iter().zip(rows).filter(|(_, row)| !row.is_empty());
    counted
        .map(|(name, one)| (name.clone(), row(one, has_octets)))
        .collect()
}

fn row(row: &Row, has_octets: bool) -> Value {
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
    if has_octets && let Some(fields) = json.as_object_mut() {
        fields.insert("octets_in".to_owned(), json!(row.octets_in));
    }
    json
}

fn series(counts: &Counts) -> Value {
    let of = |get: fn(&Totals) -> u64| -> Vec<u64> {
        counts.steps.iter().map(|step| get(&step.totals)).collect()
    };
    let p99: Vec<u64> = counts
        .steps
        .iter()
        .map(crate::board::StepSum::p99_us)
        .collect();
    json!({
        "step_ms": STEP_NS / 1_000_000,
        "commands": of(|totals| totals.commands),
        "octets_in": of(|totals| totals.octets_in),
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
