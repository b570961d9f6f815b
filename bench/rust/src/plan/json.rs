//! JSON form of a plan. `_engine.pyi` describes the fields and their defaults.

use serde::{Deserialize, Deserializer, de::Error as _};

/// Protocol of the connections.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// RFC 9051 or RFC 3501.
    Imap,
    /// RFC 2033.
    Lmtp,
}

/// Start of TLS on a connection.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// Never.
    #[default]
    None,
    /// From the first byte.
    Tls,
    /// After STARTTLS.
    StartTls,
}

/// Distribution of the times at which open-loop entries are due.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Arrivals {
    /// Evenly.
    #[default]
    Constant,
    /// Poisson process.
    Poisson,
}

/// Order in which commands take messages.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum MessageOrder {
    /// At random.
    #[default]
    Random,
    /// In turn.
    Turn,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanJson {
    pub protocol: Protocol,
    pub host: String,
    pub port: u16,
    #[serde(default)]
    pub tls: Tls,
    pub server_name: Option<String>,
    #[serde(default)]
    pub verify: bool,
    pub ca: Option<String>,
    #[serde(default)]
    pub tls_resumption: bool,
    #[serde(default)]
    pub sources: Vec<String>,
    pub connections: u32,
    #[serde(default = "one")]
    pub threads: u32,
    #[serde(default = "sixty_four")]
    pub connects_at_once: u32,
    #[serde(default)]
    pub warmup_seconds: f64,
    #[serde(default)]
    pub seconds: Option<f64>,
    #[serde(default)]
    pub limit: Option<u64>,
    #[serde(default)]
    pub limit_each: Option<u64>,
    #[serde(default)]
    pub rate: Option<f64>,
    #[serde(default)]
    pub arrivals: Arrivals,
    #[serde(default = "one")]
    pub pipeline: u32,
    #[serde(default)]
    pub reconnect: bool,
    #[serde(default = "thirty")]
    pub answer_seconds: f64,
    #[serde(default = "one_seed")]
    pub seed: u64,
    #[serde(default)]
    pub users: Vec<(String, String)>,
    #[serde(default)]
    pub messages: Vec<String>,
    #[serde(default)]
    pub message_order: MessageOrder,
    #[serde(default)]
    pub login: Vec<CommandJson>,
    #[serde(default)]
    pub setup: Vec<CommandJson>,
    #[serde(default)]
    pub mix: Vec<EntryJson>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntryJson {
    pub name: String,
    #[serde(default = "one_weight")]
    pub weight: f64,
    #[serde(default)]
    pub think_ms: (f64, f64),
    pub commands: Vec<CommandJson>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum AnswerJson {
    Tagged,
    Idle,
    Lmtp,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CommandJson {
    pub label: String,
    pub parts: Vec<PartJson>,
    pub answer: Option<AnswerJson>,
    #[serde(default)]
    pub hold_ms: f64,
    #[serde(default)]
    pub may_fail: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PartJson {
    Text(String),
    User(True),
    Password(True),
    Plain(True),
    Random((u64, u64)),
    Exists(True),
    RandomMessage(True),
    RandomRange(u32),
    Counter(True),
    Connection(True),
    Message(LiteralJson),
    Data(True),
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(super) enum LiteralJson {
    #[serde(rename = "literal+")]
    NonSync,
    #[serde(rename = "literal")]
    Sync,
}

/// The constant `true`: value of a part without a parameter.
#[derive(Debug)]
pub(super) struct True;

impl<'de> Deserialize<'de> for True {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if bool::deserialize(deserializer)? {
            Ok(Self)
        } else {
            Err(D::Error::custom("must be true"))
        }
    }
}

fn one() -> u32 {
    1
}

fn sixty_four() -> u32 {
    64
}

fn thirty() -> f64 {
    30.0
}

fn one_seed() -> u64 {
    1
}

fn one_weight() -> f64 {
    1.0
}
