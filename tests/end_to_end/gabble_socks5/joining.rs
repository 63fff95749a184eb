//! A Gabble joins our tube: it asks for the bytestream, and waits to be dialled.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;
use tubes_protocol::ns;
use tubes_server::Server;

use super::{assert_not_found, hears_its_echo};
use crate::stage::{
    BOTH, BURST, Content, Host, Joining, Listener, Manner, Multiple, Negotiation, opened,
    own_addresses, patiently,
};

crate::on_each_server!(
    its_listener_is_dialled_once,
    a_listener_that_drops_us_is_not_dialled_again,
    a_listener_that_says_nothing_is_not_dialled_again,
    hosts_where_nobody_listens_are_given_up_at_once,
    hosts_that_do_not_answer_are_given_up_in_time,
    without_any_host_it_turns_to_in_band,
    without_several_methods_the_first_one_carries,
    without_several_methods_nothing_is_fallen_back_to,
    in_band_alone_will_do,
    a_stream_that_nobody_knows_is_not_found,
);

crate::in_rooms_too!(
    its_listener_is_dialled_once,
    a_listener_that_drops_us_is_not_dialled_again,
    hosts_where_nobody_listens_are_given_up_at_once,
    without_any_host_it_turns_to_in_band,
    without_several_methods_the_first_one_carries,
    without_several_methods_nothing_is_fallen_back_to,
    in_band_alone_will_do,
    a_stream_that_nobody_knows_is_not_found,
);

async fn its_listener_is_dialled_once(server: &Server) {
    let mut our = Joining::on(server).await;
    let (alice, tube) = (our.at_alice.clone(), our.tube);
    let initiating = our.gabble.initiates(&alice, tube, Multiple::Yes, &BOTH);
    let (negotiation, methods) = initiating.await;
    assert_eq!(methods, BOTH);
    is_served(&mut our, negotiation).await;
}

async fn a_listener_that_drops_us_is_not_dialled_again(server: &Server) {
    is_reached_in_vain(server, Manner::Drops).await;
}

async fn a_listener_that_says_nothing_is_not_dialled_again(server: &Server) {
    is_reached_in_vain(server, Manner::Deaf).await;
}

/// The listener takes the first connection, and serves nobody. Any other would abort the Gabble.
async fn is_reached_in_vain(server: &Server, manner: Manner) {
    let mut our = Joining::on(server).await;
    let (alice, tube) = (our.at_alice.clone(), our.tube);
    let initiating = our.gabble.initiates(&alice, tube, Multiple::Yes, &BOTH);
    let (negotiation, _) = initiating.await;
    let listener = Listener::open(negotiation.hash(), manner).await;
    let hosts = listener.hosts(&our.gabble.full);
    let begun = Instant::now();
    let answer = our.gabble.tells_hosts(&negotiation, &hosts).await;
    println!("{manner:?}: given up after {:?}", begun.elapsed());
    assert_not_found(answer);
    assert!(begun.elapsed() < BUDGET + SLACK, "{:?}", begun.elapsed());
    our.falls_back(&negotiation).await;
    assert_eq!(opened(&mut our.alice).await, ("ibb", 1));
    assert_eq!(listener.accepted(), 1);
}

async fn hosts_where_nobody_listens_are_given_up_at_once(server: &Server) {
    let mut our = Joining::on(server).await;
    let nobodys = own_socket();
    let hosts = vec![host(&our, nobodys.local_addr().unwrap()); 3];
    // A busy server may hold an answer up for as long as hosts are waited for; not each time.
    let mut elapsed = Vec::new();
    while elapsed.len() < 3 && elapsed.iter().all(|elapsed| *elapsed >= BUDGET) {
        elapsed.push(is_given_up(&mut our, &hosts).await);
    }
    println!("nobody listens: given up after {elapsed:?}");
    assert!(elapsed.last().unwrap() < &BUDGET, "{elapsed:?}");
}

async fn hosts_that_do_not_answer_are_given_up_in_time(server: &Server) {
    let mut our = Joining::on(server).await;
    let silent = Silent::listen().await;
    let hosts = vec![host(&our, silent.place); 3];
    let elapsed = is_given_up(&mut our, &hosts).await;
    println!("nobody answers: given up after {elapsed:?}");
    assert!(elapsed < BUDGET + SLACK, "{elapsed:?}");
}

/// Falls back from hosts that cannot be reached; after how long.
async fn is_given_up(our: &mut Joining, hosts: &[Host]) -> Duration {
    let (alice, tube) = (our.at_alice.clone(), our.tube);
    let initiating = our.gabble.initiates(&alice, tube, Multiple::Yes, &BOTH);
    let (negotiation, _) = initiating.await;
    let begun = Instant::now();
    let answer = our.gabble.tells_hosts(&negotiation, hosts).await;
    let elapsed = begun.elapsed();
    assert_not_found(answer);
    our.falls_back(&negotiation).await;
    assert_eq!(opened(&mut our.alice).await, ("ibb", 1));
    elapsed
}

/// Also with the smallest blocks that there can be.
async fn without_any_host_it_turns_to_in_band(server: &Server) {
    let mut our = Joining::on(server).await;
    let (alice, tube) = (our.at_alice.clone(), our.tube);
    let initiating = our.gabble.initiates(&alice, tube, Multiple::Yes, &BOTH);
    let (negotiation, _) = initiating.await;
    assert_not_found(our.gabble.tells_hosts(&negotiation, &[]).await);
    let mut stream = our.gabble.opens_in_band(&negotiation, 1).await;
    let said = Content::of(1, 40);
    let conversing = our.gabble.converses_in_band(&mut stream, &said, said.len());
    assert_eq!(conversing.await, said);
    our.gabble.closes_in_band(stream).await;
    assert_eq!(our.alice.connection_closed().await, (40, 40, None));
}

async fn without_several_methods_the_first_one_carries(server: &Server) {
    let mut our = Joining::on(server).await;
    let (alice, tube) = (our.at_alice.clone(), our.tube);
    let initiating = our.gabble.initiates(&alice, tube, Multiple::No, &BOTH);
    let (negotiation, methods) = initiating.await;
    assert_eq!(methods, [ns::BYTESTREAMS]);
    is_served(&mut our, negotiation).await;
}

async fn without_several_methods_nothing_is_fallen_back_to(server: &Server) {
    let mut our = Joining::on(server).await;
    let (alice, tube) = (our.at_alice.clone(), our.tube);
    let initiating = our.gabble.initiates(&alice, tube, Multiple::No, &BOTH);
    let (negotiation, _) = initiating.await;
    assert_not_found(our.gabble.tells_hosts(&negotiation, &[]).await);
    let (sent, received, why) = our.alice.connection_closed().await;
    assert_eq!((sent, received), (0, 0));
    assert_eq!(why.unwrap().kind, tubes::FailureKind::Unreachable);
}

async fn in_band_alone_will_do(server: &Server) {
    let mut our = Joining::on(server).await;
    for multiple in [Multiple::No, Multiple::Yes] {
        let (alice, tube) = (our.at_alice.clone(), our.tube);
        let initiating = our.gabble.initiates(&alice, tube, multiple, &[ns::IBB]);
        let (negotiation, methods) = initiating.await;
        assert_eq!(methods, [ns::IBB]);
        our.falls_back(&negotiation).await;
        assert_eq!(opened(&mut our.alice).await, ("ibb", 0));
    }
}

async fn a_stream_that_nobody_knows_is_not_found(server: &Server) {
    let our = Joining::on(server).await;
    let nobodys = own_socket();
    let Host { jid, host, port } = host(&our, nobodys.local_addr().unwrap());
    let query = format!(
        "<query xmlns='{}' sid='unheard-of' mode='tcp'>\
         <streamhost jid='{jid}' host='{host}' port='{port}'/></query>",
        ns::BYTESTREAMS
    );
    let asked = our.gabble.ask(&our.at_alice, &query).await;
    assert_not_found(patiently("the query is answered", asked).await);
}

/// Waits at a listener, is dialled once, and hears its echo until it ends.
async fn is_served(our: &mut Joining, negotiation: Negotiation) {
    let gabble = our.gabble.full.clone();
    let mut listener = Listener::open(negotiation.hash(), Manner::Serves).await;
    let telling = our
        .gabble
        .tells_hosts(&negotiation, &listener.hosts(&gabble))
        .await;
    assert_eq!(telling.unwrap(), gabble.as_str());
    let mut stream = listener.connected().await;
    assert_eq!(opened(&mut our.alice).await, ("socks5-direct", 0));
    hears_its_echo(&mut stream).await;
    assert_eq!(listener.accepted(), 1);
    // The end of its program is the end of everything.
    drop(stream);
    assert_eq!(our.alice.connection_closed().await, (BURST, BURST, None));
}

fn host(our: &Joining, place: SocketAddr) -> Host {
    Host {
        jid: our.gabble.full.to_string(),
        host: place.ip().to_string(),
        port: place.port(),
    }
}

/// Bound, at the address that the machine tells first, and not listening: nobody else can take the port.
fn own_socket() -> TcpSocket {
    let own = *own_addresses().first().unwrap();
    let socket = match own.is_ipv4() {
        true => TcpSocket::new_v4().unwrap(),
        false => TcpSocket::new_v6().unwrap(),
    };
    socket.bind((own, 0).into()).unwrap();
    socket
}

/// A place where connections are neither taken nor refused: whoever listens there has more waiting
/// than it can.
struct Silent {
    place: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Silent {
    async fn listen() -> Self {
        let listener = own_socket().listen(1).unwrap();
        let place = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(connected) = timeout(FULL, TcpStream::connect(place)).await {
            waiting.push(connected.unwrap());
        }
        Self {
            place,
            _listener: listener,
            _waiting: waiting,
        }
    }
}

/// For all hosts together.
const BUDGET: Duration = Duration::from_secs(5);

/// What a busy machine adds to that. Whoever waits for one host after the other needs longer.
const SLACK: Duration = Duration::from_secs(9);

/// A connection that takes longer than this is one too many.
const FULL: Duration = Duration::from_millis(300);
