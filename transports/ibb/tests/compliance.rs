//! In-Band Bytestreams keep the contract.

use std::sync::Arc;

use tubes_ibb::Ibb;
use tubes_testkit::compliance::{Carrier, Subject};
use tubes_transport::{Kind, Role, Transport};

struct InBand;

impl Subject for InBand {
    fn transport(&self, _role: Role) -> Arc<dyn Transport> {
        Arc::new(Ibb::new())
    }

    fn carrier(&self) -> Carrier {
        Carrier::Session
    }

    // XEP-0047 has no words for a break: to others a close is all that can be said.
    fn tells_breaks_to(&self, kind: Kind) -> bool {
        kind == Kind::Ours
    }
}

tubes_testkit::compliance!(InBand);
