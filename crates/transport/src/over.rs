//! Streams that are over, of which something may still be on its way.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use xmpp_parsers::jid::Jid;

use crate::StreamId;

/// The streams that ended last.
#[derive(Debug, Default)]
pub(crate) struct Over {
    /// They are known by a sum: the names of streams are the peers', and may be long.
    sums: RandomState,
    streams: VecDeque<Ended>,
}

#[derive(Debug)]
struct Ended {
    sum: u64,
    /// What may still come of it.
    left: u32,
}

impl Over {
    /// Notes that a stream ended on this side.
    pub(crate) fn note(&mut self, peer: &Jid, stream: &StreamId) {
        let sum = self.sum(peer, stream);
        if self.streams.len() == STREAMS {
            self.streams.pop_front();
        }
        self.streams.push_back(Ended {
            sum,
            left: ON_THE_WAY,
        });
    }

    /// Whether a stanza may have been said before the peer knew that the stream is over.
    pub(crate) fn was_on_the_way(&mut self, from: &Jid, stream: &StreamId) -> bool {
        let sum = self.sum(from, stream);
        let mut ended = self.streams.iter_mut().filter(|ended| ended.sum == sum);
        match ended.find(|ended| ended.left > 0) {
            Some(ended) => {
                ended.left -= 1;
                true
            }
            None => false,
        }
    }

    /// In a room the same one may have another name meanwhile.
    fn sum(&self, peer: &Jid, stream: &StreamId) -> u64 {
        self.sums.hash_one((peer.to_bare(), stream))
    }
}

/// Streams that are remembered: as many as there may be at once by default, several times what one contact may have,
/// so that those of one, which end together, leave most of the others' remembered.
const STREAMS: usize = 8192;

/// Stanzas of one stream: a window of blocks, and what a client says again after a new login.
const ON_THE_WAY: u32 = 128;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn so_much_may_come_of_a_stream_that_is_over() {
        let mut over = Over::default();
        let fernand: Jid = "hall@rooms.example.org/fernand".parse().unwrap();
        let renamed: Jid = "hall@rooms.example.org/fred".parse().unwrap();
        let alice: Jid = "alice@example.org/laptop".parse().unwrap();
        let stream = StreamId::from("s");
        assert!(!over.was_on_the_way(&fernand, &stream));
        over.note(&fernand, &stream);
        assert!(!over.was_on_the_way(&alice, &stream));
        assert!(!over.was_on_the_way(&fernand, &StreamId::from("t")));
        for _ in 0..ON_THE_WAY {
            assert!(over.was_on_the_way(&renamed, &stream));
        }
        assert!(!over.was_on_the_way(&fernand, &stream));
    }

    #[test]
    fn so_many_streams_are_remembered() {
        let mut over = Over::default();
        let fernand: Jid = "fernand@example.org/laptop".parse().unwrap();
        let stream = |number: usize| StreamId::from(number.to_string());
        for number in 0..=STREAMS {
            over.note(&fernand, &stream(number));
        }
        assert_eq!(over.streams.len(), STREAMS);
        assert!(!over.was_on_the_way(&fernand, &stream(0)));
        assert!(over.was_on_the_way(&fernand, &stream(1)));
    }
}
