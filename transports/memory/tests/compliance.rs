//! The memory transport keeps the contract.

use std::sync::Arc;

use tubes_memory::Memory;
use tubes_testkit::compliance::{Carrier, Subject};
use tubes_transport::{Role, Transport};

#[derive(Default)]
struct OneProcess(Memory);

impl Subject for OneProcess {
    fn transport(&self, _role: Role) -> Arc<dyn Transport> {
        Arc::new(self.0.clone())
    }

    fn carrier(&self) -> Carrier {
        Carrier::Own { kernel: 0 }
    }
}

tubes_testkit::compliance!(OneProcess::default());
