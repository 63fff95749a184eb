//! SOCKS5 bytestreams keep the contract, whichever way they go.
#![allow(clippy::unwrap_used, reason = "this is a test")]

mod relay;

/// Kernel buffers of one TCP connection over loopback, both ends together, as Linux lets them grow.
const CONNECTION: usize = 16 << 20;

mod direct {
    use std::sync::Arc;

    use tubes_socks5::Socks5;
    use tubes_testkit::compliance::{Carrier, Subject};
    use tubes_transport::{Role, Transport};

    struct Direct;

    impl Subject for Direct {
        fn transport(&self, _role: Role) -> Arc<dyn Transport> {
            Arc::new(Socks5::direct())
        }

        fn carrier(&self) -> Carrier {
            Carrier::Own {
                kernel: super::CONNECTION,
            }
        }
    }

    tubes_testkit::compliance!(Direct);
}

mod proxied {
    use std::sync::{Arc, Mutex};

    use tubes_socks5::{Socks5, Streamhost};
    use tubes_testkit::Hub;
    use tubes_testkit::compliance::{Carrier, Subject};
    use tubes_transport::{Kind, Role, Transport};

    use super::relay;

    #[derive(Default)]
    struct Proxied(Mutex<Option<Streamhost>>);

    impl Subject for Proxied {
        fn furnish(&self, hub: &Hub) {
            *self.0.lock().unwrap() = Some(relay::join(hub));
        }

        fn transport(&self, _role: Role) -> Arc<dyn Transport> {
            let proxy = self.0.lock().unwrap().clone().unwrap();
            // It was not tried out, and there is no other transport.
            let socks5 = Socks5::proxied().with_proxy_at(proxy);
            Arc::new(socks5.with_flawed_proxies())
        }

        fn carrier(&self) -> Carrier {
            Carrier::Own {
                kernel: 2 * super::CONNECTION,
            }
        }

        // A proxy ends one connection properly when the other breaks. Our own kind frames what it
        // sends; XEP-0065 has no words for it.
        fn tells_breaks_to(&self, kind: Kind) -> bool {
            kind == Kind::Ours
        }
    }

    tubes_testkit::compliance!(Proxied::default());
}
