//! Every property of the compliance suite catches a transport that violates it.
#![allow(clippy::unwrap_used, reason = "this is a test")]

mod attempting;
mod carrying;
mod ending;
mod flaw;
mod spoilt;

use tubes_testkit::compliance::{Breach, Property, judge};

use crate::flaw::{Broken, Flaw};

/// What the suite has to say of a transport with this flaw.
fn caught(property: Property, flaw: impl Flaw) -> Breach {
    let violation = judge(property, Broken::new(flaw)).unwrap_err();
    assert_eq!(violation.property, property);
    violation.breach
}
