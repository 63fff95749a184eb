//! Sentences for people.

use std::collections::BTreeMap;

use super::foreign::{Foreign, Who, harmless, sentence};
use super::report::{
    Device, Direction, FellBack, Party, Proof, Protection, Report, Resource, Trust, Typed, Verdict,
};

/// The report as a sentence, or a few lines; none where people look into the log.
pub(crate) fn lines(report: &Report) -> Option<String> {
    Some(match report {
        Report::Check {
            name,
            verdict,
            detail,
            ..
        } => {
            let verdict = match verdict {
                Verdict::Failed => "FAILED",
                Verdict::Ok => "ok",
                Verdict::Poor => "poor",
            };
            let name = name.replace('_', " ");
            format!("{verdict:<7} {name:<18} {}", harmless(detail))
        }
        Report::ConnectionClosed {
            connection,
            sent,
            received,
            error,
            tube,
        } => {
            let how = match error {
                None => "ended".to_owned(),
                Some(why) => format!("broke off ({why})"),
            };
            format!(
                "connection {connection} of tube {tube} {how}: {} sent, {} received",
                bytes(*sent),
                bytes(*received)
            )
        }
        Report::ConnectionOpened {
            tube,
            connection,
            peer,
            transport,
            fell_back_from,
            setup_ms,
            protection,
            ..
        } => format!(
            "connection {connection} of tube {tube} with {peer} over {transport}{}, {}, set up in {setup_ms:.1} ms",
            fallen(fell_back_from),
            protected(protection),
        ),
        Report::Device(device) => device_line(device),
        Report::Disregarded { .. } => return None,
        Report::Error(why) => format!("error: {why}"),
        Report::FileDone(done) => done.line(),
        Report::FileFailed(failed) => failed.line(),
        Report::FileOffered(offered) => offered.line(),
        Report::FileProgress(progress) => progress.line(),
        Report::FileSkipped(skipped) => skipped.line(),
        Report::FileStarted(started) => started.line(),
        Report::LimitReached { limit, peer } => reached(limit, peer.as_ref()),
        Report::Listening { tube, address } => {
            format!("listening on {} for tube {tube}", harmless(address))
        }
        Report::Offline {
            reason,
            retry_in_ms,
        } => {
            let next = retry_in_ms.map_or_else(String::new, |wait| {
                format!("; trying again in {:.1} s", wait as f64 / 1e3)
            });
            format!("offline: {}{next}", sentence(reason))
        }
        Report::Online { resumed: true, .. } => "online again, nothing was lost".to_owned(),
        Report::Online {
            jid, server, tls, ..
        } => format!(
            "online as {} through {} ({})",
            harmless(jid),
            harmless(server),
            tls.as_deref().unwrap_or("not encrypted")
        ),
        Report::Proof(proof) => proven(proof),
        Report::Resource(resource) => described(resource),
        Report::RoomEntered { room, nick } => {
            format!("in {} as {}", harmless(room), harmless(nick))
        }
        Report::RoomLeft { room, error } => match error {
            None => format!("left {}", harmless(room)),
            Some(why) => format!("out of {}: {why}", harmless(room)),
        },
        Report::SafetyNumber {
            contact, number, ..
        } => format!("{number}\nis what {} has to see, too", harmless(contact)),
        Report::Trust(trust) => decided(trust),
        Report::Throttled { bytes_per_second } => format!(
            "the server takes only about {}/s from this account; connections through it will be slow",
            bytes(*bytes_per_second)
        ),
        Report::TubeClosed { tube, error } => match error {
            None => format!("tube {tube} is closed"),
            Some(why) => format!("tube {tube} is closed: {why}"),
        },
        Report::TubeOffered {
            tube,
            party,
            service,
            direction,
            parameters,
        } => {
            let (whom, with) = (whom(party), with(parameters));
            match direction {
                Direction::In => format!("{whom} offers {service} as tube {tube}{with}"),
                Direction::Out => format!("{service} is offered to {whom} as tube {tube}{with}"),
            }
        }
        Report::TubeOpened { tube } => format!("tube {tube} is open"),
    })
}

pub(super) fn protected(protection: &Protection) -> &'static str {
    match protection.trust {
        None => "NOT encrypted from end to end",
        Some("verified") => "encrypted and verified",
        Some("occupant") => "encrypted, unverified",
        Some(_) => "encrypted",
    }
}

fn whom(party: &Party) -> String {
    let whom = party.peer.as_ref().or(party.room.as_ref());
    whom.map_or_else(String::new, Who::to_string)
}

fn reached(limit: &str, peer: Option<&Who>) -> String {
    let what = limit.replace('_', " ");
    let who = match (limit, peer) {
        ("roster", None) => {
            return "the contact list is too long to be read as a whole: who stands in the rest of it is \
                    taken for a stranger, unless a command names them"
                .to_owned();
        }
        (_, None) => "programs".to_owned(),
        (_, Some(peer)) => peer.to_string(),
    };
    match limit {
        "capabilities" => format!("too many {what}: {who} is asked again what it can do"),
        "handshakes" => "too many direct connections at once: some are sent away".to_owned(),
        "occupants" | "resources" => format!("too many {what}: not all of {who} are seen"),
        "roster" => {
            format!("too many contacts: {who} is taken for a stranger, unless a command names them")
        }
        "unread" => format!("too much waits to be read: connections of {who} are broken off"),
        "answers" => format!("too many answers wait: what else {who} asks is refused"),
        _ if limit.starts_with("files") => {
            format!("too many {what}: what else {who} offers is declined")
        }
        _ if limit.starts_with("invitations") => {
            format!("too many {what}: what else {who} offers is not heard")
        }
        _ => format!("too many {what}: {who} will have to wait"),
    }
}

fn decided(trust: &Trust) -> String {
    let peer = &trust.peer;
    let key = trust.key.as_deref().unwrap_or_default();
    match (&trust.reason, trust.decision) {
        (Some(why), _) => format!("refused: {}", sentence(why)),
        (None, "pinned") => format!(
            "{peer} is met for the first time, and trusted from now on by the key {key}; `tubes \
             trust verify {peer}` makes sure of it"
        ),
        (None, _) => {
            format!(
                "connections with {peer} are plain: everybody on the way may read and change them"
            )
        }
    }
}

fn device_line(device: &Device) -> String {
    let since = device
        .first_seen
        .as_deref()
        .map_or_else(String::new, |time| {
            format!(
                ", first heard of on {}",
                time.split('T').next().unwrap_or(time)
            )
        });
    format!(
        "{:<8} {} {}{since}",
        device.standing,
        device.key,
        harmless(&device.jid)
    )
}

pub(super) fn fallen(from: &[FellBack]) -> String {
    if from.is_empty() {
        return String::new();
    }
    let tried: Vec<_> = from.iter().map(FellBack::to_string).collect();
    format!(" (after {})", tried.join("; "))
}

fn with(parameters: &BTreeMap<Foreign, Typed>) -> String {
    if parameters.is_empty() {
        return String::new();
    }
    let all = parameters.iter();
    let some: Vec<_> = all
        .map(|(name, value)| format!("{name}={value}"))
        .take(PARAMETERS)
        .collect();
    let more = match parameters.len() - some.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(", with {}{more}", some.join(", "))
}

fn described(resource: &Resource) -> String {
    let jid = &resource.jid;
    if !resource.answered {
        return format!("{jid} does not say what it can do");
    }
    let files = match resource.files {
        true => "; takes files",
        false => "",
    };
    if !resource.tubes {
        return format!("{jid} does no tubes{files}");
    }
    let kind = match resource.ours {
        true => "does tubes, as this program does",
        false => "does tubes",
    };
    let services = match &resource.services[..] {
        [] => "names no service".to_owned(),
        names => {
            let names: Vec<_> = names.iter().map(Foreign::to_string).collect();
            format!("names {}", names.join(", "))
        }
    };
    let transports = match &resource.transports[..] {
        [] => "no transport".to_owned(),
        names => names.join(", "),
    };
    format!("{jid} {kind}; {services}; carries bytes over {transports}{files}")
}

fn proven(proof: &Proof) -> String {
    let (from, to) = match proof.direction {
        Direction::Out => ("program", "service"),
        Direction::In => ("service", "program"),
    };
    let verdict = if proof.holds() { "equal" } else { "DIFFERENT" };
    format!(
        "{from} to {to}: {} over {} in {:.2} s ({}/s)\n  sent      {}\n  received  {}\n  {verdict}",
        bytes(proof.bytes),
        proof.transport,
        proof.seconds,
        bytes((proof.bytes as f64 / proof.seconds.max(f64::EPSILON)) as u64),
        proof.sent_sha256,
        proof.received_sha256,
    )
}

/// A number of bytes in the largest unit that leaves a whole number before the point.
pub(crate) fn bytes(count: u64) -> String {
    let mut value = count as f64;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    if unit == "B" {
        format!("{count} B")
    } else {
        format!("{value:.1} {unit}")
    }
}

/// Parameters of an offer that are shown: who offers it chooses how many there are.
const PARAMETERS: usize = 8;

#[cfg(test)]
mod tests {
    use super::super::report::Why;
    use super::lines as lines_if_any;
    use super::*;

    fn lines(report: &Report) -> String {
        lines_if_any(report).unwrap_or_default()
    }

    #[test]
    fn sizes_are_in_units_one_can_grasp() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1024), "1.0 KiB");
        assert_eq!(bytes(16 * 1024 * 1024), "16.0 MiB");
    }

    fn resource(answered: bool, services: &[&str]) -> String {
        lines(&Report::Resource(Resource {
            jid: Who::new("fernand@example.org/phone"),
            answered,
            tubes: !services.is_empty(),
            files: false,
            ours: false,
            services: services.iter().copied().map(Foreign::new).collect(),
            transports: vec!["socks5", "ibb"],
        }))
    }

    #[test]
    fn a_resource_says_what_it_can_do_as_far_as_it_is_known() {
        assert_eq!(
            resource(true, &["ssh", "h\u{1b}ttp"]),
            "fernand@example.org/phone does tubes; names ssh, \"h\\u{1b}ttp\"; carries bytes \
             over socks5, ibb"
        );
        assert_eq!(
            resource(true, &[]),
            "fernand@example.org/phone does no tubes"
        );
        assert_eq!(
            resource(false, &[]),
            "fernand@example.org/phone does not say what it can do"
        );
    }

    #[test]
    fn a_check_begins_with_its_verdict() {
        let check = Report::check("rate_limit", Verdict::Poor, "about 3.0 kB/s".to_owned());
        assert_eq!(lines(&check), "poor    rate limit         about 3.0 kB/s");
    }

    #[test]
    fn a_failed_connection_says_why() {
        let report = Report::ConnectionClosed {
            tube: 7,
            connection: 2,
            sent: 10,
            received: 2048,
            error: Some(Why {
                kind: "gone",
                message: "the peer went offline".to_owned(),
            }),
        };
        assert_eq!(
            lines(&report),
            "connection 2 of tube 7 broke off (the peer went offline): 10 B sent, 2.0 KiB received"
        );
    }

    #[test]
    fn a_contact_list_that_is_too_long_is_told_with_what_to_do() {
        let reached = |peer| {
            let limit = "roster";
            lines(&Report::LimitReached { limit, peer })
        };
        for line in [
            reached(None),
            reached(Some(Who::new("fernand@example.net"))),
        ] {
            assert!(line.contains("contact"), "{line}");
            assert!(line.ends_with("unless a command names them"), "{line}");
        }
        assert!(reached(None).starts_with("the contact list is too long"));
    }

    #[test]
    fn a_proof_that_fails_says_so() {
        let proof = |received: &str| {
            lines(&Report::Proof(Proof {
                direction: Direction::Out,
                bytes: 1024,
                sent_sha256: "aa".to_owned(),
                received_sha256: received.to_owned(),
                transport: "ibb".to_owned(),
                seconds: 1.0,
            }))
        };
        assert!(proof("bb").contains("DIFFERENT"));
        assert!(proof("aa").contains("equal"));
    }
}
