//! A proxy for bytestreams that is somebody's own, and answers as an old ejabberd does.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tubes::socks5::{Streamhost, Verdict};
use tubes::{FullJid, Socks5};
use tubes_protocol::ns;
use tubes_server::Server;
use tubes_session::{Session, SessionEvent};
use tubes_transport::{Ask, Inbound};
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType};

use super::{credentials, own_addresses, patiently, stream_hash};

/// Relays as XEP-0065 has it. Its reply to CONNECT names no address: `05 00 00 00 00 00`.
pub(crate) struct Relay {
    pub(crate) place: Streamhost,
    _session: Session,
    _tasks: JoinSet<()>,
}

/// Who has connected, by what they asked for.
type Waiting = Arc<Mutex<HashMap<String, Vec<TcpStream>>>>;

impl Relay {
    /// Makes an account on the server, by which it can be asked, and listens.
    pub(crate) async fn on(server: &Server) -> Self {
        let account = server.fresh_account("relay").await.unwrap();
        let starting = Session::start(credentials(server, &account), Vec::new());
        let (session, events) = patiently("the login is done", starting).await.unwrap();
        let own = *own_addresses().first().unwrap();
        let listener = TcpListener::bind(SocketAddr::new(own, 0)).await.unwrap();
        let place = Streamhost {
            jid: session.jid().clone().into(),
            host: own.to_string(),
            port: listener.local_addr().unwrap().port(),
        };
        let waiting = Waiting::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&waiting)));
        tasks.spawn(answer(events, waiting));
        Self {
            place,
            _session: session,
            _tasks: tasks,
        }
    }
}

async fn accept(listener: TcpListener, waiting: Waiting) {
    let mut greetings = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        greetings.spawn(greet(stream, Arc::clone(&waiting)));
    }
}

async fn greet(mut stream: TcpStream, waiting: Waiting) {
    let mut greeting = [0; 3];
    stream.read_exact(&mut greeting).await.unwrap();
    assert_eq!(greeting, [5, 1, 0]);
    stream.write_all(&[5, 0]).await.unwrap();
    let mut request = [0; 47];
    stream.read_exact(&mut request).await.unwrap();
    let (head, rest) = request.split_at(5);
    let (name, port) = rest.split_at(40);
    assert_eq!((head, port), (&[5, 1, 0, 3, 40][..], &[0, 0][..]));
    let hash = str::from_utf8(name).unwrap().to_owned();
    // Whoever has its answer can be found.
    let mut waiting = waiting.lock().await;
    stream.write_all(&[5, 0, 0, 0, 0, 0]).await.unwrap();
    waiting.entry(hash).or_default().push(stream);
}

async fn answer(mut events: mpsc::Receiver<SessionEvent>, waiting: Waiting) {
    let mut relaying = JoinSet::new();
    while let Some(event) = events.recv().await {
        let SessionEvent::Unclaimed { inbound, .. } = event else {
            continue;
        };
        let Inbound::Ask(ask) = inbound else { continue };
        let pair = waiting.lock().await.remove(&wanted(&ask));
        let pair: Option<[TcpStream; 2]> = pair.and_then(|pair| pair.try_into().ok());
        let Some([mut a, mut b]) = pair else {
            ask.refuse_with(ErrorType::Cancel, DefinedCondition::ItemNotFound);
            continue;
        };
        relaying.spawn(async move { copy_bidirectional(&mut a, &mut b).await });
        ask.grant(None);
    }
}

/// What both sides of the stream have asked for that is to be active.
fn wanted(ask: &Ask) -> String {
    let query = ask.payload();
    let activate = query.get_child("activate", ns::BYTESTREAMS);
    let target = activate.map(|activate| activate.text()).unwrap_or_default();
    let sid = query.attr("sid").unwrap_or_default();
    stream_hash(sid, ask.from().as_str(), &target)
}

/// Waits until all proxies of the account's server are known, and this holds for each.
pub(crate) async fn until_known(
    socks5: &Socks5,
    account: &FullJid,
    enough: impl Fn(&Verdict) -> bool,
) {
    let knowing = async {
        loop {
            let known = socks5.known_proxies(account);
            if !known.is_empty() && known.iter().all(|proxy| enough(&proxy.verdict)) {
                return;
            }
            sleep(GLANCE).await;
        }
    };
    patiently("the proxies are known", knowing).await;
}

/// Nobody is told when a proxy has been tried out.
const GLANCE: Duration = Duration::from_millis(20);
