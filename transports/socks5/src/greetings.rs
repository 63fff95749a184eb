//! Those who have connected, and have not said yet what they want.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};

use tokio::task::AbortHandle;

/// The oldest go first, if there are too many.
#[derive(Debug, Default)]
pub(crate) struct Greetings(VecDeque<Greeting>);

#[derive(Debug)]
struct Greeting {
    from: Origin,
    task: AbortHandle,
}

/// Whether somebody had to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Free,
    Made,
}

impl Greetings {
    /// Makes room for one more from there. Whoever floods this side, from one address or from a few, takes its
    /// own places, and those of others only if it has many addresses.
    pub(crate) fn make_room(&mut self, from: IpAddr) -> Room {
        if self.0.len() < PER_ORIGIN {
            return Room::Free;
        }
        self.0.retain(|greeting| !greeting.task.is_finished());
        let from = Origin::of(from);
        let of_same = self.0.iter().filter(|greeting| greeting.from == from);
        let oldest = match of_same.count() >= PER_ORIGIN && from != Origin::Here {
            true => self.0.iter().position(|greeting| greeting.from == from),
            false if self.0.len() >= IN_ALL => self.oldest_of_most(),
            false => None,
        };
        match oldest.and_then(|at| self.0.remove(at)) {
            Some(oldest) => {
                oldest.task.abort();
                Room::Made
            }
            None => Room::Free,
        }
    }

    /// The oldest of the origin that has most.
    fn oldest_of_most(&self) -> Option<usize> {
        let mut counts = HashMap::new();
        for greeting in &self.0 {
            *counts.entry(greeting.from).or_insert(0) += 1;
        }
        let most = counts.values().copied().max()?;
        let is_of_most = |greeting: &Greeting| counts.get(&greeting.from) == Some(&most);
        self.0.iter().position(is_of_most)
    }

    /// One more, from there.
    pub(crate) fn push(&mut self, from: IpAddr, task: AbortHandle) {
        let from = Origin::of(from);
        self.0.push_back(Greeting { from, task });
    }
}

/// Where somebody comes from, as far as an address tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Origin {
    Address(IpAddr),
    /// This machine: anybody of those whom a proxy or a tunnel on it serves.
    Here,
}

impl Origin {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            address if address.is_loopback() => Self::Here,
            // One machine has a whole network of these (RFC 4291 §2.5.4).
            IpAddr::V6(address) => {
                let network = u128::from(address) >> 64 << 64;
                Self::Address(Ipv6Addr::from(network).into())
            }
            address => Self::Address(address),
        }
    }
}

/// Connections that may be about to say what they want.
const IN_ALL: usize = 256;

/// Those of them that come from one address: behind it may be a contact that opens as many connections at
/// once as it may be negotiating, each over two ways.
const PER_ORIGIN: usize = 128;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use std::future::pending;

    use tokio::task::JoinHandle;

    use super::*;

    /// Lets so many come, each from the address of its number; who they are, and how many had to go.
    fn come(
        greetings: &mut Greetings,
        count: usize,
        from: impl Fn(usize) -> String,
    ) -> (Vec<JoinHandle<()>>, usize) {
        let mut made = 0;
        let come = |number| {
            let from: IpAddr = from(number).parse().unwrap();
            made += usize::from(greetings.make_room(from) == Room::Made);
            let task = tokio::spawn(pending());
            greetings.push(from, task.abort_handle());
            task
        };
        ((0..count).map(come).collect(), made)
    }

    async fn ended(tasks: Vec<JoinHandle<()>>) -> usize {
        // The runtime sees to some of them at a time.
        for _ in &tasks {
            tokio::task::yield_now().await;
        }
        tasks.iter().filter(|task| task.is_finished()).count()
    }

    #[tokio::test]
    async fn whoever_floods_this_side_from_one_address_harms_itself_alone() {
        let mut greetings = Greetings::default();
        let (honest, _) = come(&mut greetings, 10, |_| "192.0.2.1".to_owned());
        let (flood, made) = come(&mut greetings, 1000, |_| "192.0.2.2".to_owned());
        assert_eq!(made, 1000 - PER_ORIGIN);
        assert_eq!(ended(flood).await, made);
        assert_eq!(ended(honest).await, 0);
    }

    #[tokio::test]
    async fn whoever_floods_this_side_from_some_addresses_harms_none_that_has_fewer() {
        let mut greetings = Greetings::default();
        let (honest, _) = come(&mut greetings, 10, |_| "192.0.2.1".to_owned());
        let (_flood, _) = come(&mut greetings, 2000, |number| match number % 4 {
            0 => "127.0.0.1".to_owned(),
            network => format!("2001:db8:0:{network}::1"),
        });
        assert_eq!(ended(honest).await, 0);
    }

    #[tokio::test]
    async fn addresses_that_one_machine_may_have_are_one() {
        let machines: [fn(usize) -> String; 3] = [
            |number| format!("2001:db8::{number:x}"),
            |number| format!("2001:db8::{number:x}:0:0:1"),
            |_| "::ffff:192.0.2.1".to_owned(),
        ];
        for from in machines {
            let mut greetings = Greetings::default();
            let (_tasks, made) = come(&mut greetings, PER_ORIGIN + 1, from);
            assert_eq!(made, 1);
        }
        let mut greetings = Greetings::default();
        let networks = |number| format!("2001:db8:0:{number:x}::1");
        assert_eq!(come(&mut greetings, PER_ORIGIN + 1, networks).1, 0);
    }

    #[tokio::test]
    async fn all_together_have_a_bound() {
        let mut greetings = Greetings::default();
        let (tasks, made) = come(&mut greetings, 1000, |number| {
            format!("198.51.{}.{}", number / 100, number % 100)
        });
        assert_eq!(made, 1000 - IN_ALL);
        assert_eq!(ended(tasks).await, made);
    }

    #[tokio::test]
    async fn of_this_machine_no_address_tells_anything() {
        for from in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            let mut greetings = Greetings::default();
            let (_tasks, made) = come(&mut greetings, IN_ALL, |_| from.to_owned());
            assert_eq!(made, 0);
        }
    }

    #[tokio::test]
    async fn those_who_are_done_need_no_room() {
        let mut greetings = Greetings::default();
        let (tasks, _) = come(&mut greetings, PER_ORIGIN, |_| "192.0.2.1".to_owned());
        for task in tasks {
            task.abort();
            let _ = task.await;
        }
        let (_tasks, made) = come(&mut greetings, PER_ORIGIN, |_| "192.0.2.1".to_owned());
        assert_eq!(made, 0);
    }
}
