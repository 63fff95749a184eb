//! Events for programs: one JSON object a line.

use std::time::SystemTime;

use serde::Serialize;
use tubes::transport::foreign::is_tricky;

use super::Report;
use crate::exit::{Kind, Stop};

/// The event as one line, stamped with the present time (RFC 3339, UTC).
pub(crate) fn line(report: &Report) -> Result<String, Stop> {
    let stamped = Stamped {
        time: humantime::format_rfc3339_micros(SystemTime::now()).to_string(),
        report,
    };
    serde_json::to_string(&stamped)
        .map(|line| harmless(&line))
        .map_err(|why| Stop::failed(Kind::Io, format!("cannot write an event: {why}")))
}

/// The same event for whoever looks at it on a terminal: JSON may say each letter by its number, and has to
/// for a few of those that play tricks there (RFC 8259 §7).
fn harmless(line: &str) -> String {
    let mut units = [0; 2];
    line.chars().fold(String::new(), |mut harmless, letter| {
        match is_tricky(letter) {
            true => harmless.extend(
                letter
                    .encode_utf16(&mut units)
                    .iter()
                    .map(|unit| format!("\\u{unit:04x}")),
            ),
            false => harmless.push(letter),
        }
        harmless
    })
}

#[derive(Serialize)]
struct Stamped<'a> {
    time: String,
    #[serde(flatten)]
    report: &'a Report,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::super::foreign::{Foreign, Who};
    use super::super::report::{Direction, FellBack, Party, Typed, Why};
    use super::*;

    /// The event as a reader parses it, after its time was checked and taken off.
    fn read_back(report: &Report) -> Value {
        let line = line(report).unwrap();
        assert!(!line.contains('\n'), "{line}");
        let mut event: Value = serde_json::from_str(&line).unwrap();
        let time = event.as_object_mut().unwrap().remove("time").unwrap();
        let time = time.as_str().unwrap();
        assert!(
            time.ends_with('Z') && humantime::parse_rfc3339(time).is_ok(),
            "{time}"
        );
        event
    }

    #[test]
    fn an_offer_has_typed_parameters() {
        let parameters = [
            ("port", tubes::Value::Uint(22)),
            ("user", tubes::Value::Str("al\nice".to_owned())),
            ("key", tubes::Value::Bytes(vec![0, 1, 2])),
            ("root", tubes::Value::Bool(false)),
        ];
        let report = Report::TubeOffered {
            tube: 7,
            party: Party {
                room: None,
                peer: Some(Who::new("fernand@example.org")),
            },
            service: Foreign::new("ssh"),
            direction: Direction::Out,
            parameters: parameters
                .iter()
                .map(|(name, value)| (Foreign::new(*name), Typed::from(value)))
                .collect::<BTreeMap<_, _>>(),
        };
        assert_eq!(
            read_back(&report),
            json!({
                "event": "tube_offered", "tube": 7, "peer": "fernand@example.org",
                "service": "ssh", "direction": "out", "parameters": {
                    "port": {"type": "uint", "value": 22},
                    "user": {"type": "str", "value": "al\nice"},
                    "key": {"type": "bytes", "value": "AAEC"},
                    "root": {"type": "bool", "value": false},
                }
            })
        );
    }

    #[test]
    fn a_connection_says_what_it_fell_back_from() {
        let report = Report::ConnectionOpened {
            tube: 7,
            connection: 1,
            peer: Who::new("fernand@example.org/home"),
            transport: "ibb".to_owned(),
            fell_back_from: vec![FellBack {
                transport: "socks5-direct".to_owned(),
                reason: "unreachable".to_owned(),
            }],
            setup_ms: 1.5,
            source: None,
            protection: tubes::Protection::Plain.into(),
        };
        assert_eq!(
            read_back(&report),
            json!({
                "event": "connection_opened", "tube": 7, "connection": 1,
                "peer": "fernand@example.org/home", "transport": "ibb",
                "fell_back_from": [{"transport": "socks5-direct", "reason": "unreachable"}],
                "setup_ms": 1.5, "source": null,
                "encrypted": false, "key": null, "trust": null,
            })
        );
    }

    #[test]
    fn what_plays_tricks_on_a_terminal_is_said_by_its_number() {
        let message = "a\u{9b}31m\u{202e}\u{7f}\u{1b}[0m\nü";
        let report = Report::Error(Why {
            kind: "refused",
            message: message.to_owned(),
        });
        let line = line(&report).unwrap();
        assert!(!line.chars().any(is_tricky), "{line}");
        assert!(line.contains('ü'));
        assert_eq!(read_back(&report)["message"], message);
    }

    #[test]
    fn an_error_has_its_kind_beside_its_name() {
        let report = Report::Error(Why {
            kind: "timed_out",
            message: "no answer".to_owned(),
        });
        assert_eq!(
            read_back(&report),
            json!({"event": "error", "kind": "timed_out", "message": "no answer"})
        );
    }

    #[test]
    fn a_tube_that_ended_well_has_a_null_error() {
        let report = Report::TubeClosed {
            tube: 7,
            error: None,
        };
        assert_eq!(
            read_back(&report),
            json!({"event": "tube_closed", "tube": 7, "error": null})
        );
    }
}
