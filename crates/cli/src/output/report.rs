//! What there is to report; the names are the contract with programs that read it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tubes::secure::{Judgement, Standing};
use tubes::{Audience, BareJid, Decision, Failure, Fingerprint, FullJid, Jid, Value};

use super::file;
use super::foreign::{Foreign, Who, sentence};
use crate::exit::{Kind, Trouble};
use crate::parameter;

/// Something that happened, as standard output has it.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Report {
    /// What `doctor` found.
    Check {
        name: &'static str,
        ok: bool,
        verdict: Verdict,
        detail: String,
    },
    ConnectionClosed {
        tube: u32,
        connection: u64,
        sent: u64,
        received: u64,
        error: Option<Why>,
    },
    ConnectionOpened {
        tube: u32,
        connection: u64,
        peer: Who,
        transport: String,
        fell_back_from: Vec<FellBack>,
        setup_ms: f64,
        source: Option<String>,
        #[serde(flatten)]
        protection: Protection,
    },
    /// A device of a contact's, or of this account.
    Device(Device),
    Disregarded {
        what: &'static str,
        peer: Who,
    },
    Error(Why),
    FileDone(file::Done),
    FileFailed(file::Failed),
    FileOffered(file::Offered),
    FileProgress(file::Progress),
    FileSkipped(file::Skipped),
    FileStarted(file::Started),
    LimitReached {
        limit: &'static str,
        peer: Option<Who>,
    },
    Listening {
        tube: u32,
        address: String,
    },
    Offline {
        reason: String,
        retry_in_ms: Option<u64>,
    },
    Online {
        jid: String,
        server: String,
        tls: Option<String>,
        resumed: bool,
    },
    Proof(Proof),
    /// What `discover` found.
    Resource(Resource),
    /// What two people compare.
    SafetyNumber {
        contact: String,
        key: String,
        number: String,
    },
    RoomEntered {
        room: String,
        nick: String,
    },
    RoomLeft {
        room: String,
        error: Option<Why>,
    },
    Throttled {
        bytes_per_second: u64,
    },
    Trust(Trust),
    TubeClosed {
        tube: u32,
        error: Option<Why>,
    },
    TubeOffered {
        tube: u32,
        #[serde(flatten)]
        party: Party,
        service: Foreign,
        direction: Direction,
        parameters: BTreeMap<Foreign, Typed>,
    },
    TubeOpened {
        tube: u32,
    },
}

impl Report {
    /// Whether it says who is trusted from now on, or what is not encrypted. What was refused is
    /// told as an error.
    pub(crate) fn concerns_trust(&self) -> bool {
        matches!(self, Self::Trust(trust) if trust.reason.is_none())
    }
}

impl Report {
    /// What `doctor` found in one check.
    pub(crate) fn check(name: &'static str, verdict: Verdict, detail: String) -> Self {
        Self::Check {
            name,
            ok: verdict == Verdict::Ok,
            verdict,
            detail,
        }
    }
}

/// Who offers a tube, or to whom it is offered.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Party {
    /// The room in which it is offered, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) room: Option<Who>,
    /// The other side; nobody in particular, if this side offers in a room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peer: Option<Who>,
}

impl Party {
    pub(crate) fn new(audience: &Audience, peer: &FullJid, direction: tubes::Direction) -> Self {
        let peer = Some(Who::new(peer));
        match (audience, direction) {
            (Audience::Room(room), tubes::Direction::In) => Self {
                room: Some(Who::new(room)),
                peer,
            },
            (Audience::Room(room), tubes::Direction::Out) => Self {
                room: Some(Who::new(room)),
                peer: None,
            },
            (Audience::Contact(_), _) => Self { room: None, peer },
        }
    }
}

/// How a check of `doctor` ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// Tubes cannot work, or not well.
    Failed,
    /// All is well.
    Ok,
    /// It could be better, but nothing depends on it.
    Poor,
}

/// A contact's resource that is online.
#[derive(Debug, Serialize)]
pub(crate) struct Resource {
    pub(crate) jid: Who,
    /// Whether it has said what it can do; if not, the rest says nothing.
    pub(crate) answered: bool,
    pub(crate) tubes: bool,
    pub(crate) files: bool,
    pub(crate) ours: bool,
    pub(crate) services: Vec<Foreign>,
    pub(crate) transports: Vec<&'static str>,
}

/// Which way an offer went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    In,
    Out,
}

impl From<tubes::Direction> for Direction {
    fn from(direction: tubes::Direction) -> Self {
        match direction {
            tubes::Direction::In => Self::In,
            tubes::Direction::Out => Self::Out,
        }
    }
}

/// Whether somebody on the way can read or change a connection.
#[derive(Debug, Serialize)]
pub(crate) struct Protection {
    pub(crate) encrypted: bool,
    /// The other device's key.
    pub(crate) key: Option<String>,
    /// Why it is trusted: `verified`, `pinned`, or `first`; `occupant` if nobody knows whose it is.
    pub(crate) trust: Option<&'static str>,
}

impl From<tubes::Protection> for Protection {
    fn from(protection: tubes::Protection) -> Self {
        match protection {
            tubes::Protection::Encrypted { key, judgement } => Self {
                encrypted: true,
                key: Some(key.to_string()),
                trust: Some(match judgement {
                    Judgement::Known(Standing::Verified) => "verified",
                    Judgement::First => "first",
                    Judgement::Occupant => "occupant",
                    _ => "pinned",
                }),
            },
            _ => Self {
                encrypted: false,
                key: None,
                trust: None,
            },
        }
    }
}

/// What was decided on a contact's device.
#[derive(Debug, Serialize)]
pub(crate) struct Trust {
    pub(crate) peer: Who,
    pub(crate) key: Option<String>,
    /// `pinned`, `plain`, or `refused`.
    pub(crate) decision: &'static str,
    /// Why it is refused.
    pub(crate) reason: Option<String>,
}

impl Trust {
    /// None for what a later version may decide.
    pub(crate) fn new(contact: &Jid, key: Option<Fingerprint>, decision: Decision) -> Option<Self> {
        let (decision, reason) = match decision {
            Decision::Pinned => ("pinned", None),
            Decision::Plain => ("plain", None),
            Decision::Refused(why) => ("refused", Some(why)),
            _ => return None,
        };
        Some(Self {
            peer: Who::new(contact),
            key: key.map(|key| key.to_string()),
            decision,
            reason,
        })
    }
}

/// A device, known by its key.
#[derive(Debug, Serialize)]
pub(crate) struct Device {
    pub(crate) jid: String,
    pub(crate) key: String,
    /// `own`, `pending`, `pinned`, `published`, `revoked`, or `verified`.
    pub(crate) standing: &'static str,
    /// RFC 3339; not of the own one.
    pub(crate) first_seen: Option<String>,
}

impl Device {
    /// A contact's.
    pub(crate) fn of(contact: &BareJid, device: &tubes::secure::Device) -> Self {
        Self {
            jid: contact.to_string(),
            key: device.key.fingerprint().to_string(),
            standing: match device.standing {
                Standing::Pending => "pending",
                Standing::Pinned => "pinned",
                Standing::Published => "published",
                Standing::Revoked => "revoked",
                Standing::Verified => "verified",
            },
            first_seen: Some(humantime::format_rfc3339_seconds(device.first_seen).to_string()),
        }
    }
}

/// What failed, for programs and for people.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Why {
    pub(crate) kind: &'static str,
    pub(crate) message: String,
}

/// A transport that was tried before the one that worked.
#[derive(Debug, Serialize)]
pub(crate) struct FellBack {
    pub(crate) transport: String,
    pub(crate) reason: String,
}

/// A parameter of an offer.
#[derive(Debug, Serialize)]
pub(crate) struct Typed {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) value: serde_json::Value,
}

/// What the demo proves of one direction: both ends saw the same bytes, or not.
#[derive(Debug, Serialize)]
pub(crate) struct Proof {
    /// `Out`: from the program to the service.
    pub(crate) direction: Direction,
    pub(crate) bytes: u64,
    pub(crate) sent_sha256: String,
    pub(crate) received_sha256: String,
    pub(crate) transport: String,
    pub(crate) seconds: f64,
}

impl Proof {
    /// Whether what was sent is what arrived.
    pub(crate) fn holds(&self) -> bool {
        self.sent_sha256 == self.received_sha256
    }
}

impl Why {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind: kind.name(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&sentence(&self.message))
    }
}

impl From<&Trouble> for Why {
    fn from(trouble: &Trouble) -> Self {
        Self::new(trouble.kind, &trouble.message)
    }
}

impl From<Failure> for Why {
    fn from(failure: Failure) -> Self {
        Self::from(&Trouble::from(failure))
    }
}

impl fmt::Display for FellBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.transport, sentence(&self.reason))
    }
}

impl fmt::Display for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            serde_json::Value::String(text) => Foreign::new(text).fmt(f),
            other => other.fmt(f),
        }
    }
}

impl From<&Value> for Typed {
    fn from(value: &Value) -> Self {
        let (kind, text) = parameter::write(value);
        let value = match value {
            Value::Bool(value) => (*value).into(),
            Value::Int(value) => (*value).into(),
            Value::Uint(value) => (*value).into(),
            _ => text.into(),
        };
        Self { kind, value }
    }
}

/// Milliseconds with the microseconds behind the point.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
