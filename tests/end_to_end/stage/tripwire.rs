//! Makes a tube's own actor panic, from the outside.
//!
//! Nothing of an application is called by a tube's actor but its subscriber of `tracing`: for
//! each connection the actor makes a span. So it is there that the wire is stretched.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use tubes::TubeId;

/// The actor of this tube panics at the next connection.
pub(crate) fn trip(tube: TubeId) {
    let mut tubes = TUBES.lock().unwrap_or_else(PoisonError::into_inner);
    tubes.push(tube.to_string());
}

/// What notices.
pub(super) fn layer<S: Subscriber + for<'a> LookupSpan<'a>>() -> impl Layer<S> {
    Tripwire.with_filter(filter_fn(is_connection))
}

struct Tripwire;

impl<S: Subscriber> Layer<S> for Tripwire {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let mut tube = Tube::default();
        attributes.record(&mut tube);
        let mut tubes = TUBES.lock().unwrap_or_else(PoisonError::into_inner);
        let trips = tubes.iter().position(|tripping| *tripping == tube.0);
        if let Some(trips) = trips.map(|at| tubes.swap_remove(at)) {
            drop(tubes);
            panic!("the wire of tube {trips} was touched");
        }
    }
}

fn is_connection(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.name() == "bytestream"
}

/// The value of the field `tube`.
#[derive(Default)]
struct Tube(String);

impl Visit for Tube {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "tube" {
            self.0 = format!("{value:?}");
        }
    }
}

static TUBES: Mutex<Vec<String>> = Mutex::new(Vec::new());
