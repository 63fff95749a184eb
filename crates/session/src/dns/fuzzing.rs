//! A name server that answers anything.

use hickory_resolver::proto::op::Message;

use super::{Answer, MOST_SERVERS, Server, merge, read};
use crate::account::Tls;

/// Reads the bytes as answers of a name server, one for each kind of service: every server that
/// was named is tried once, unless there are too many, and there is always one to try where the
/// domain does not say otherwise.
pub fn dns(data: &[u8]) {
    let mut parts = data.splitn(2, |&byte| byte == b'\n');
    let mut answer = || {
        let message = Message::from_vec(parts.next().unwrap_or_default()).ok();
        let records = message.map(|message| message.answers).unwrap_or_default();
        read(records.iter().map(|record| &record.data))
    };
    let answers = [answer(), answer()];
    for tls in [
        None,
        Some(Tls::Direct),
        Some(Tls::None),
        Some(Tls::StartTls),
    ] {
        merged(&answers, tls, data);
    }
}

fn merged(answers: &[Answer; 2], tls: Option<Tls>, data: &[u8]) {
    let mut named: Vec<_> = answers
        .iter()
        .flat_map(|answer| match answer {
            Answer::Offered(servers) => servers.as_slice(),
            Answer::Nothing | Answer::NotOffered => &[],
        })
        .collect();
    let [direct, plain] = answers.clone();
    let mut draws = data.iter();
    // Anything up to the most, and the most itself.
    let random = |most: u32| match draws.next() {
        Some(&draw) => u32::from(draw).saturating_mul(1 << 16).min(most),
        None => most,
    };
    let Ok(targets) = merge("example.org", tls, direct, plain, random) else {
        assert!(named.is_empty() && answers.contains(&Answer::NotOffered));
        return;
    };
    assert!(!targets.is_empty() && targets.len() <= 2 * MOST_SERVERS);
    assert!(targets.iter().all(|target| !target.host.is_empty()));
    if named.is_empty() {
        assert!(targets.iter().all(|target| target.host == "example.org"));
        return;
    }
    let mut last = 0;
    for target in &targets {
        let is_it = |server: &&&Server| server.host == target.host && server.port == target.port;
        let rival = named.iter().filter(is_it).map(|server| server.priority);
        let priority = rival.filter(|&priority| priority >= last).min();
        last = priority.unwrap_or_else(|| panic!("{target:?} is none, or comes too late"));
        let taken = |server: &&Server| {
            server.host == target.host && server.port == target.port && server.priority == last
        };
        if let Some(at) = named.iter().position(taken) {
            named.remove(at);
        }
    }
    assert!(named.is_empty(), "some are never tried");
}
