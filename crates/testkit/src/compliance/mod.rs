//! What every transport has to keep, as tests that a transport gets by a line.
//!
//! ```text
//!   compliance!(subject) ─► a #[test] for each Property ─► judge ─► Verdict
//!                                                            │
//!      requester's Transport ⇄ Wire ⇄ Hub ⇄ Wire ⇄ responder's Transport
//! ```
//!
//! - [`Subject`]: the transport under test, and what it declares of itself (`subject.rs`)
//! - [`Property`], [`judge`]: what is asked of it, and the answer (`property.rs`)
//! - [`Violation`]: what it did instead (`violation.rs`)
//! - the two sides of a test (`bench.rs`), and what they say to each other (`speech.rs`)
//! - the properties: `carrying.rs`, `ending.rs`, `breaking.rs`, `pressure.rs`, `attempts.rs`,
//!   `leaving.rs`, `intruding.rs`
//!
//! Each property is tried with either side acting, and towards each [`Kind`] of peer. Every wait
//! has a deadline, so a broken transport fails its test and does not hang it.
//!
//! [`Kind`]: tubes_transport::Kind

mod attempts;
mod bench;
mod breaking;
mod carrying;
mod ending;
mod intruding;
mod leaving;
mod pressure;
mod property;
mod speech;
mod subject;
mod violation;

pub use self::intruding::{other_resource, stranger};
pub use self::property::{Property, judge, uphold};
pub use self::subject::{Carrier, Subject};
pub use self::violation::{Breach, Verdict, Violation};

/// Makes a `#[test]` of every [`Property`] for the [`Subject`] that the expression gives; it is
/// evaluated anew for each.
#[macro_export]
macro_rules! compliance {
    ($subject:expr) => {
        $crate::compliance! { @tests $subject;
            carries_everything_in_order: CarriesInOrder,
            carries_both_directions_at_once: CarriesBothWays,
            many_streams_do_not_mix: KeepsStreamsApart,
            opens_and_ends_without_a_byte: EndsWithoutAByte,
            ends_one_direction_as_it_declares: EndsOneDirection,
            what_was_shut_down_arrives_though_the_stream_is_dropped: ClosesAfterFlushing,
            what_was_flushed_arrives_before_a_break: FlushesBeforeBreaking,
            an_abrupt_drop_is_an_error_and_no_end: BreaksWhenDropped,
            a_lost_session_ends_what_depends_on_it: EndsWithItsCarrier,
            a_reader_that_never_reads_stops_the_writer: StopsTheWriter,
            a_stalled_stream_goes_on_when_read_again: GoesOnWhenRead,
            preparing_says_nothing_and_holds_nothing: PreparesInSilence,
            a_refused_attempt_leaves_the_wire_usable: LeavesTheWire,
            what_another_transport_says_stays_on_the_wire: LeavesWhatIsNotItsOwn,
            a_dropped_attempt_frees_what_it_held: FreesWhenDropped,
            an_ended_stream_frees_what_it_held: FreesWhenEnded,
            a_third_party_can_neither_inject_nor_end_nor_disturb: IgnoresThirdParties,
        }
    };
    (@tests $subject:expr; $($name:ident: $property:ident,)*) => {
        $(
            #[test]
            fn $name() {
                $crate::compliance::uphold($crate::compliance::Property::$property, $subject);
            }
        )*

        /// A property without a test would be kept by chance.
        #[test]
        fn every_property_is_tested() {
            let tested = [$($crate::compliance::Property::$property),*];
            assert_eq!(tested, $crate::compliance::Property::ALL);
        }
    };
}
