//! What a requester owes to a peer that waits at a proxy.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;
use tubes_transport::{Answer, AskError, Kind};
use xmpp_parsers::minidom::Element;

use crate::dial::{Candidate, Errand, dial};
use crate::{Destination, Socks5, Streamhost, Used};

/// A peer that chose a proxy waits there for this side, and nothing in XEP-0065 tells it that nobody
/// comes. So should the attempt be dropped, this side goes there all the same, and leaves at once:
/// the proxy then closes the peer's connection, too.
pub(super) struct Promise {
    owed: Owed,
    socks5: Socks5,
    proxies: Vec<Streamhost>,
    kind: Kind,
    destination: Destination,
}

enum Owed {
    /// It is not known what the peer chose.
    Answer(Answer),
    /// To be at this proxy.
    Visit(Streamhost),
    Nothing,
}

impl Promise {
    /// The peer was told of these proxies, and has yet to answer.
    pub(super) fn new(
        socks5: &Socks5,
        answer: Answer,
        proxies: Vec<Streamhost>,
        kind: Kind,
        destination: Destination,
    ) -> Self {
        Self {
            socks5: socks5.clone(),
            owed: Owed::Answer(answer),
            proxies,
            kind,
            destination,
        }
    }

    /// The peer's answer; asked for once.
    pub(super) async fn answer(&mut self) -> Result<Option<Element>, AskError> {
        let Owed::Answer(answer) = &mut self.owed else {
            return Ok(None);
        };
        let answer = answer.await;
        self.owed = chosen(&answer, &self.proxies).map_or(Owed::Nothing, Owed::Visit);
        answer
    }

    /// This side was there, or could not be.
    pub(super) fn keep(&mut self) {
        self.owed = Owed::Nothing;
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let owed = std::mem::replace(&mut self.owed, Owed::Nothing);
        if matches!(owed, Owed::Nothing) || self.proxies.is_empty() {
            return;
        }
        let proxies = std::mem::take(&mut self.proxies);
        let (kind, destination) = (self.kind, self.destination);
        let socks5 = self.socks5.clone();
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let proxy = match owed {
                    Owed::Answer(answer) => chosen(&answer.await, &proxies),
                    Owed::Visit(proxy) => Some(proxy),
                    Owed::Nothing => None,
                };
                if let Some(proxy) = proxy {
                    let errand = Errand {
                        kind,
                        destination,
                        deadline: Instant::now() + VISIT,
                    };
                    // Whoever cannot be reached has nothing to be told.
                    let _ =
                        dial(&Candidate::own_proxy(proxy), errand, VISIT, socks5.queues()).await;
                }
            });
        }
    }
}

/// The proxy that the answer names.
fn chosen(
    answer: &Result<Option<Element>, AskError>,
    proxies: &[Streamhost],
) -> Option<Streamhost> {
    let used = Used::read(answer.as_ref().ok()?.as_ref()?).ok()?;
    proxies.iter().find(|proxy| proxy.jid == used.jid).cloned()
}

/// For the proxy to take a connection that is not used.
const VISIT: Duration = Duration::from_secs(5);
