//! Plan of a load: read from JSON, checked, and compiled.

mod command;
mod json;

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::ops::Range;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use command::{CommandPiece, Completion, Names, PlannedCommand};
pub use json::{Arrivals, MessageOrder, Protocol, Tls};

use crate::limits::SECOND;
use command::{BAD_TIME, PlanContents, milliseconds};
use json::{CommandJson, EntryJson, PlanJson};

/// Purpose of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Connections that work through the mix.
    Load,
    /// Connections that stay in IDLE.
    Idle,
}

/// One entry of the mix.
#[derive(Debug)]
pub struct Entry {
    /// Sum of the weights up to and including this one.
    pub weight_up_to: f64,
    /// Shortest and longest pause before it, in nanoseconds.
    pub think: (u64, u64),
    /// Its commands, as indexes of `Plan::commands`.
    pub commands: Range<u32>,
}

/// A user of the plan.
#[derive(Debug)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
    /// base64 of NUL user NUL password.
    pub plain: String,
}

/// A checked plan. Times are nanoseconds.
#[derive(Debug)]
#[expect(
    missing_docs,
    reason = "as in _engine.pyi, where the schema is described"
)]
pub struct Plan {
    pub protocol: Protocol,
    pub address: SocketAddr,
    pub tls: Tls,
    pub server_name: String,
    pub verify: bool,
    pub ca: Option<String>,
    pub tls_resumption: bool,
    pub sources: Vec<IpAddr>,
    pub connections: u32,
    pub threads: u32,
    pub connects_at_once: u32,
    pub warmup: u64,
    pub duration: Option<u64>,
    pub limit: Option<u64>,
    pub limit_each: Option<u64>,
    pub rate: Option<f64>,
    pub arrivals: Arrivals,
    pub pipeline: usize,
    pub reconnect: bool,
    pub answer: u64,
    pub seed: u64,
    pub users: Vec<User>,
    /// Messages for literals.
    pub messages: Vec<Arc<[u8]>>,
    /// Dot-stuffed messages; empty for IMAP.
    pub data: Vec<Arc<[u8]>>,
    pub message_order: MessageOrder,
    /// All commands: log-in, set-up, then the entries'.
    pub commands: Vec<PlannedCommand>,
    /// Log-in and set-up, as indexes of `commands`.
    pub login: Range<u32>,
    pub setup: Range<u32>,
    pub mix: Vec<Entry>,
    /// Rows of the report.
    pub labels: Names,
    /// Names of the mix.
    pub entries: Vec<String>,
    /// Labels of commands that the engine adds.
    pub connect_label: u16,
    pub logout_label: u16,
}

/// Error of a plan.
#[derive(Debug)]
pub enum PlanError {
    /// Wrong content. The message starts with the path of the field.
    Wrong(String),
    /// The host name has no address.
    NoAddress(std::io::Error),
}

impl PlanError {
    pub(crate) fn at(field: &str, why: &str) -> Self {
        Self::Wrong(format!("{field}: {why}"))
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong(why) => f.write_str(why),
            Self::NoAddress(why) => write!(f, "host: {why}"),
        }
    }
}

impl std::error::Error for PlanError {}

impl Plan {
    /// Read a plan.
    ///
    /// # Errors
    /// See `PlanError`.
    pub fn from_json(json: &str, purpose: Purpose) -> Result<Self, PlanError> {
        let mut reader = serde_json::Deserializer::from_str(json);
        let text: PlanJson = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let path = error.path().to_string();
            let why = error.into_inner().to_string();
            if path == "." {
                PlanError::Wrong(why)
            } else {
                PlanError::at(&path, &why)
            }
        })?;
        reader
            .end()
            .map_err(|error| PlanError::Wrong(error.to_string()))?;
        checked(text, purpose)
    }

    /// Return a command by its index.
    #[must_use]
    pub fn command(&self, place: u32) -> Option<&PlannedCommand> {
        self.commands.get(place as usize)
    }

    /// Return the user of a connection.
    #[must_use]
    pub fn user(&self, connection: u32) -> Option<&User> {
        let count = u32::try_from(self.users.len()).ok()?;
        self.users.get(connection.checked_rem(count)? as usize)
    }

    /// Pick an entry by weight, with a uniform random number in 0..1.
    #[must_use]
    pub fn pick(&self, unit: f64) -> u16 {
        let total = self.mix.last().map_or(0.0, |entry| entry.weight_up_to);
        let place = self
            .mix
            .partition_point(|entry| entry.weight_up_to <= unit * total);
        u16::try_from(place.min(self.mix.len().saturating_sub(1))).unwrap_or(0)
    }
}

fn checked(text: PlanJson, purpose: Purpose) -> Result<Plan, PlanError> {
    ranges(&text, purpose)?;
    let contents = PlanContents {
        protocol: text.protocol,
        users: !text.users.is_empty(),
        messages: !text.messages.is_empty(),
    };
    let mut labels = Names::default();
    let mut commands = Vec::new();
    let mut add = |list: &[CommandJson], path: &str| -> Result<Range<u32>, PlanError> {
        let first = place(&commands, path)?;
        for (at, one) in list.iter().enumerate() {
            commands.push(command::command(
                one,
                &format!("{path}[{at}]"),
                &contents,
                &mut labels,
            )?);
        }
        Ok(first..place(&commands, path)?)
    };
    let login = add(&text.login, "login")?;
    let setup = add(&text.setup, "setup")?;
    let mut mix = Vec::new();
    let mut weights = 0.0;
    for (at, entry) in text.mix.iter().enumerate() {
        let path = format!("mix[{at}]");
        let think = entry_times(entry, &path)?;
        weights += entry.weight;
        let commands = add(&entry.commands, &format!("{path}.commands"))?;
        mix.push(Entry {
            weight_up_to: weights,
            think,
            commands,
        });
    }
    let too_many = || PlanError::at("mix", "too many labels");
    let connect_label = labels.number("CONNECT").ok_or_else(too_many)?;
    let logout = if text.protocol == Protocol::Imap {
        "LOGOUT"
    } else {
        "QUIT"
    };
    let logout_label = labels.number(logout).ok_or_else(too_many)?;
    let (messages, data) = messages(&text)?;
    let sources = sources(&text.sources)?;
    let address = address(&text.host, text.port)?;
    Ok(Plan {
        protocol: text.protocol,
        address,
        tls: text.tls,
        server_name: text.server_name.unwrap_or(text.host),
        verify: text.verify,
        ca: text.ca,
        tls_resumption: text.tls_resumption,
        sources,
        connections: text.connections,
        threads: text.threads.min(text.connections),
        connects_at_once: text.connects_at_once,
        warmup: seconds(text.warmup_seconds).unwrap_or(0),
        duration: text.seconds.and_then(seconds),
        limit: text.limit,
        limit_each: text.limit_each,
        rate: text.rate,
        arrivals: text.arrivals,
        pipeline: text.pipeline as usize,
        reconnect: text.reconnect,
        answer: seconds(text.answer_seconds).unwrap_or(30 * SECOND),
        seed: text.seed,
        users: users(text.users)?,
        messages,
        data,
        message_order: text.message_order,
        commands,
        login,
        setup,
        mix,
        labels,
        entries: text.mix.into_iter().map(|entry| entry.name).collect(),
        connect_label,
        logout_label,
    })
}

fn ranges(text: &PlanJson, purpose: Purpose) -> Result<(), PlanError> {
    let check = |good: bool, field: &str, why: &str| {
        if good {
            Ok(())
        } else {
            Err(PlanError::at(field, why))
        }
    };
    let time = "must be from 0 to 31,536,000 seconds";
    check(
        (1..=1_000_000).contains(&text.connections),
        "connections",
        "must be from 1 to 1,000,000",
    )?;
    check(
        (1..=256).contains(&text.threads),
        "threads",
        "must be from 1 to 256",
    )?;
    check(
        text.connects_at_once > 0,
        "connects_at_once",
        "must be at least 1",
    )?;
    check(
        seconds(text.warmup_seconds).is_some(),
        "warmup_seconds",
        time,
    )?;
    check(
        text.seconds
            .is_none_or(|value| value > 0.0 && seconds(value).is_some()),
        "seconds",
        time,
    )?;
    check(
        text.answer_seconds >= 0.001 && seconds(text.answer_seconds).is_some(),
        "answer_seconds",
        time,
    )?;
    check(text.limit != Some(0), "limit", "must be at least 1")?;
    check(
        text.limit_each != Some(0),
        "limit_each",
        "must be at least 1",
    )?;
    check(
        text.rate.is_none_or(|rate| (0.001..=1e8).contains(&rate)),
        "rate",
        "must be from 0.001 to 100,000,000",
    )?;
    check(
        (1..=1024).contains(&text.pipeline),
        "pipeline",
        "must be from 1 to 1024",
    )?;
    check(text.ca.is_none() || text.verify, "ca", "needs verify")?;
    match purpose {
        Purpose::Load => {
            check(!text.mix.is_empty(), "mix", "is empty")?;
            let ends = text.seconds.or(text.limit.or(text.limit_each).map(|_| 0.0));
            check(ends.is_some(), "seconds", "may be null only with a limit")
        }
        Purpose::Idle => {
            check(text.mix.is_empty(), "mix", "must be empty for IdleLoad")?;
            check(
                text.protocol == Protocol::Imap,
                "protocol",
                "must be imap for IdleLoad",
            )
        }
    }
}

fn entry_times(entry: &EntryJson, path: &str) -> Result<(u64, u64), PlanError> {
    if entry.commands.is_empty() {
        return Err(PlanError::at(&format!("{path}.commands"), "is empty"));
    }
    if !(entry.weight > 0.0 && entry.weight <= 1e9) {
        return Err(PlanError::at(
            &format!("{path}.weight"),
            "must be above 0, and at most 1e9",
        ));
    }
    let field = format!("{path}.think_ms");
    let bad = || PlanError::at(&field, BAD_TIME);
    let first = milliseconds(entry.think_ms.0).ok_or_else(bad)?;
    let last = milliseconds(entry.think_ms.1).ok_or_else(bad)?;
    if first > last {
        return Err(PlanError::at(&field, "first > last"));
    }
    Ok((first, last))
}

fn place(commands: &[PlannedCommand], path: &str) -> Result<u32, PlanError> {
    u32::try_from(commands.len()).map_err(|_| PlanError::at(path, "too many commands"))
}

fn seconds(value: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "in range"
    )]
    #[expect(clippy::cast_precision_loss, reason = "SECOND is exact")]
    (0.0..=31_536_000.0)
        .contains(&value)
        .then_some((value * SECOND as f64) as u64)
}

type MessageList = Vec<Arc<[u8]>>;

fn messages(text: &PlanJson) -> Result<(MessageList, MessageList), PlanError> {
    let mut plain: MessageList = Vec::with_capacity(text.messages.len());
    for (at, encoded) in text.messages.iter().enumerate() {
        let bytes = STANDARD
            .decode(encoded)
            .map_err(|error| PlanError::at(&format!("messages[{at}]"), &error.to_string()))?;
        plain.push(bytes.into());
    }
    if text.protocol == Protocol::Imap {
        return Ok((plain, Vec::new()));
    }
    let data = plain
        .iter()
        .map(|message| dot_stuffed(message).into())
        .collect();
    Ok((Vec::new(), data))
}

/// Return a message as DATA sends it: dots doubled at the start of lines, and the final dot
/// (RFC 5321 section 4.5.2).
fn dot_stuffed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 8);
    for line in message.split_inclusive(|&byte| byte == b'\n') {
        if line.first() == Some(&b'.') {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    if !out.is_empty() && !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

fn users(pairs: Vec<(String, String)>) -> Result<Vec<User>, PlanError> {
    let made = pairs.into_iter().enumerate().map(|(at, (name, password))| {
        if name
            .bytes()
            .chain(password.bytes())
            .any(|b| matches!(b, b'\r' | b'\n' | 0))
        {
            let why = "names and passwords may not hold CR, LF or NUL";
            return Err(PlanError::at(&format!("users[{at}]"), why));
        }
        let plain = STANDARD.encode(format!("\0{name}\0{password}"));
        Ok(User {
            name,
            password,
            plain,
        })
    });
    made.collect()
}

fn sources(texts: &[String]) -> Result<Vec<IpAddr>, PlanError> {
    let parsed = texts.iter().enumerate().map(|(at, source)| {
        source
            .parse()
            .map_err(|_| PlanError::at(&format!("sources[{at}]"), "is not an IP address"))
    });
    parsed.collect()
}

fn address(host: &str, port: u16) -> Result<SocketAddr, PlanError> {
    let nothing = || std::io::Error::other(format!("{host} contents no address"));
    let mut found = (host, port)
        .to_socket_addrs()
        .map_err(PlanError::NoAddress)?;
    found
        .next()
        .ok_or_else(nothing)
        .map_err(PlanError::NoAddress)
}

#[cfg(test)]
mod tests;
