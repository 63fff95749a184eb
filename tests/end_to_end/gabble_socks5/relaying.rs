//! A Gabble meets us at a proxy.

use std::slice::from_ref;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;
use tubes::socks5::Verdict;
use tubes::{FullJid, Socks5};
use tubes_server::{Server, ServerKind};

use super::{assert_not_found, echoes, hears_its_echo};
use crate::stage::{
    BOTH, BURST, Content, Family, Host, Joining, LENGTH, Multiple, Negotiation, Offering, PATIENCE,
    Relay, Service, TUBE, at_end, dial, digest, opened, patiently, until_known,
};

crate::on_each_server!(
    a_proxy_that_it_tells_is_used_if_it_withholds_nothing,
    a_proxy_is_told_to_it_if_it_withholds_nothing,
    what_our_service_says_before_the_proxy_is_active_is_not_lost,
    a_proxy_that_it_tells_may_say_little,
    a_proxy_that_says_little_is_told_to_it,
    a_proxy_that_it_cannot_reach_is_fallen_back_from,
);

async fn a_proxy_that_it_tells_is_used_if_it_withholds_nothing(server: &Server) {
    let socks5 = Socks5::new();
    let mut our = Joining::with(server, socks5.clone()).await;
    let proxy = our.gabble.finds(&proxy_of(server)).await;
    // It is known, and need not have been tried out.
    until_known(&socks5, &our.at_alice, |_| true).await;
    let negotiation = is_initiated(&mut our).await;
    let answer = our.gabble.tells_hosts(&negotiation, from_ref(&proxy)).await;
    if server.kind() == ServerKind::Prosody {
        assert_not_found(answer);
        our.falls_back(&negotiation).await;
        assert_eq!(opened(&mut our.alice).await, ("ibb", 1));
        return;
    }
    assert_eq!(answer.unwrap(), proxy.jid);
    is_relayed(&mut our, &negotiation, &proxy).await;
}

async fn a_proxy_is_told_to_it_if_it_withholds_nothing(server: &Server) {
    // On a busy machine a proxy may pause for longer than one is expected to.
    let socks5 = Socks5::new().with_stillness(PAUSE);
    let mut our = Offering::with(server, socks5.clone()).await;
    let truth = match server.kind() {
        ServerKind::Prosody => Verdict::Withholds,
        _ => Verdict::Relays,
    };
    // A trial that takes too long is repeated.
    until_known(&socks5, &our.at_alice, |verdict| *verdict == truth).await;
    let mut program = our.program().await;
    let negotiation = our.gabble.is_initiated(TUBE, Multiple::Yes, &BOTH).await;
    let told = our.gabble.is_told_hosts(&negotiation).await;
    let proxies = of_others(&told.hosts, &our.at_alice);
    if server.kind() == ServerKind::Prosody {
        assert_eq!(proxies, []);
        told.finds_none();
        our.is_fallen_back_to(&negotiation, program).await;
        return;
    }
    let [host] = &proxies[..] else {
        panic!("{proxies:?}");
    };
    // ejabberd adds which of its nodes it is.
    assert!(host.jid.starts_with(&proxy_of(server)), "{proxies:?}");
    let dialling = dial(host, negotiation.hash());
    let mut stream = patiently("the proxy is reached", dialling).await.unwrap();
    told.uses(&host.jid);
    echoes(&mut stream, &mut program).await;
    let (transport, failed) = opened(&mut our.alice).await;
    assert!(transport == "socks5-proxy" && failed >= 1, "{failed}");
    drop(stream);
    assert_eq!(at_end(&mut program).await, 0);
    drop(program);
    assert_eq!(our.alice.connection_closed().await, (BURST, BURST, None));
}

/// A Gabble takes its time to activate, and this side cannot know.
async fn what_our_service_says_before_the_proxy_is_active_is_not_lost(server: &Server) {
    if server.kind() == ServerKind::Prosody {
        // Its proxy is not used.
        return;
    }
    let greeting = Content::of(8, LENGTH);
    let said = greeting.clone();
    let greeter = Service::listen(Family::Tcp).await.unwrap();
    let greeter = greeter.serve(move |mut stream| {
        let said = said.clone();
        async move {
            stream.write_all(&said).await?;
            stream.shutdown().await
        }
    });
    let socks5 = Socks5::new();
    let mut our = Joining::of(server, greeter, socks5.clone()).await;
    let proxy = our.gabble.finds(&proxy_of(server)).await;
    until_known(&socks5, &our.at_alice, |_| true).await;
    let negotiation = is_initiated(&mut our).await;
    let answer = our.gabble.tells_hosts(&negotiation, from_ref(&proxy)).await;
    assert_eq!(answer.unwrap(), proxy.jid);
    let dialling = dial(&proxy, negotiation.hash());
    let mut stream = patiently("the proxy is reached", dialling).await.unwrap();
    assert_eq!(opened(&mut our.alice).await, ("socks5-proxy", 0));
    sleep(LATE).await;
    our.gabble.activates(&negotiation, &proxy.jid).await;
    let mut heard = vec![0; LENGTH];
    let reading = stream.read_exact(&mut heard);
    patiently("the greeting arrives", reading).await.unwrap();
    assert_eq!(digest(&heard), digest(&greeting));
    drop(stream);
    assert_eq!(our.alice.connection_closed().await, (BURST, 0, None));
}

/// As an old ejabberd: its answer to CONNECT names no address.
async fn a_proxy_that_it_tells_may_say_little(server: &Server) {
    let relay = Relay::on(server).await;
    let mut our = Joining::on(server).await;
    let negotiation = is_initiated(&mut our).await;
    let proxy = Host::of(&relay.place);
    let answer = our.gabble.tells_hosts(&negotiation, from_ref(&proxy)).await;
    assert_eq!(answer.unwrap(), proxy.jid);
    is_relayed(&mut our, &negotiation, &proxy).await;
}

async fn a_proxy_that_says_little_is_told_to_it(server: &Server) {
    let relay = Relay::on(server).await;
    let socks5 = Socks5::new().with_proxy_at(relay.place.clone());
    let mut our = Offering::with(server, socks5).await;
    let proxy = Host::of(&relay.place);
    let began = Instant::now();
    let (negotiation, told, mut program) = loop {
        // It has to be tried out before others are told of it.
        assert!(began.elapsed() < PATIENCE, "it is never told");
        let program = our.program().await;
        let negotiation = our.gabble.is_initiated(TUBE, Multiple::Yes, &BOTH).await;
        let told = our.gabble.is_told_hosts(&negotiation).await;
        if told.hosts.contains(&proxy) {
            break (negotiation, told, program);
        }
        told.finds_none();
        our.is_fallen_back_to(&negotiation, program).await;
        opened(&mut our.alice).await;
    };
    let dialling = dial(&proxy, negotiation.hash());
    let mut stream = patiently("the proxy is reached", dialling).await.unwrap();
    told.uses(&proxy.jid);
    echoes(&mut stream, &mut program).await;
    let (transport, failed) = opened(&mut our.alice).await;
    assert!(transport == "socks5-proxy" && failed >= 1, "{failed}");
}

async fn a_proxy_that_it_cannot_reach_is_fallen_back_from(server: &Server) {
    let mut our = Joining::on(server).await;
    let negotiation = is_initiated(&mut our).await;
    let relay = Relay::on(server).await;
    let mut proxy = Host::of(&relay.place);
    drop(relay);
    "unheard.of".clone_into(&mut proxy.jid);
    let answer = our.gabble.tells_hosts(&negotiation, &[proxy]).await;
    assert_not_found(answer);
    our.falls_back(&negotiation).await;
}

async fn is_initiated(our: &mut Joining) -> Negotiation {
    let (alice, tube) = (our.at_alice.clone(), our.tube);
    let initiating = our.gabble.initiates(&alice, tube, Multiple::Yes, &BOTH);
    initiating.await.0
}

/// Follows the other side to the proxy, has it activated, and hears its echo until it ends.
async fn is_relayed(our: &mut Joining, negotiation: &Negotiation, proxy: &Host) {
    let dialling = dial(proxy, negotiation.hash());
    let mut stream = patiently("the proxy is reached", dialling).await.unwrap();
    our.gabble.activates(negotiation, &proxy.jid).await;
    hears_its_echo(&mut stream).await;
    assert_eq!(opened(&mut our.alice).await, ("socks5-proxy", 0));
    drop(stream);
    assert_eq!(our.alice.connection_closed().await, (BURST, BURST, None));
}

fn of_others(hosts: &[Host], at_alice: &FullJid) -> Vec<Host> {
    let others = hosts.iter().filter(|host| host.jid != at_alice.as_str());
    others.cloned().collect()
}

fn proxy_of(server: &Server) -> String {
    format!("proxy.{}", server.domain())
}

/// Long after this side has taken the silence for a yes, and its service has spoken.
const LATE: Duration = Duration::from_millis(500);

/// For how long a proxy may say nothing that relays everything. A trial waits that long each way, if it
/// withholds something, and ten seconds at most in all.
const PAUSE: Duration = Duration::from_secs(3);
