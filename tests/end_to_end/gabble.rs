//! Tubes with a telepathy-gabble at the other end.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tubes::{Access, Offer};
use tubes_protocol::ns;
use tubes_server::Server;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType};

use crate::stage::{Family, Gabble, Person, Service, connect, echo, patiently};

crate::on_each_server!(
    a_gabble_joins_our_tube,
    a_gabble_offers_us_a_tube,
    a_tube_that_its_offerer_has_forgotten_is_closed,
    a_number_that_is_offered_again_while_its_tube_winds_down_is_another_tube,
);

async fn a_number_that_is_offered_again_while_its_tube_winds_down_is_another_tube(server: &Server) {
    let mut alice = Person::lenient(server, "alice").await;
    let mut gabble = Gabble::on(server, "fernand").await;
    alice.tubes.befriend(&gabble.jid).await;
    gabble.befriend(&alice.jid).await;
    let at_alice = gabble.sees().await;
    let offer = format!(
        "<tube xmlns='{}' type='stream' service='x-echo' id='2077776406'/>",
        ns::TUBES
    );
    let close = format!(
        "<close xmlns='{}' tube='2077776406' id='2077776406'/>",
        ns::TUBES
    );
    gabble.tell(at_alice.clone(), &offer).await;
    let former = alice.offered().await;
    let listen = "127.0.0.1:0".parse().unwrap();
    let accepting = alice.tubes.accept(former, listen, Access::Localhost);
    let address = accepting.await.unwrap();
    let _program = connect(&address).await.unwrap();
    // As long as this waits for its answer, the tube is not gone.
    let _initiation = gabble.asked("si").await;
    gabble.tell(at_alice.clone(), &close).await;
    gabble.tell(at_alice.clone(), &offer).await;
    let present = alice.offered().await;
    assert_ne!(present, former);
    assert!(alice.tubes.state().tubes.contains_key(&former));
    gabble.tell(at_alice, &close).await;
    alice.closed(present).await.unwrap();
}

async fn a_gabble_joins_our_tube(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let mut alice = Person::lenient(server, "alice").await;
    let at_alice = alice.online().await;
    let mut gabble = Gabble::on(server, "fernand").await;
    alice.tubes.befriend(&gabble.jid).await;
    gabble.befriend(&alice.jid).await;
    let offer = Offer::new(gabble.jid.clone(), "x-echo", service.address.clone());
    alice.tubes.offer(offer).await.unwrap();
    let offer = gabble.told("tube").await;
    assert_eq!(
        (offer.attr("type"), offer.attr("service")),
        (Some("stream"), Some("x-echo"))
    );
    let number: u32 = offer.attr("id").unwrap().parse().unwrap();

    let answer = gabble
        .ask(
            &at_alice,
            &initiation(&format!("<stream xmlns='{}' tube='{number}'/>", ns::TUBES)),
        )
        .await;
    let answer = patiently("the initiation is answered", answer)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(answer.attr("id"), None);
    let methods = answer.get_child("si-multiple", ns::SI_MULTIPLE).unwrap();
    let methods: Vec<_> = methods.children().map(Element::text).collect();
    assert_eq!(methods, [ns::IBB]);
    assert!(answer.get_child("tube", ns::TUBES).is_some());

    let open = gabble
        .ask(
            &at_alice,
            &format!("<open xmlns='{}' sid='{SID}' block-size='4096'/>", ns::IBB),
        )
        .await;
    patiently("the stream is open", open).await.unwrap();
    // Gabble takes data in either kind of stanza, and so must we.
    let acknowledged = gabble.ask(&at_alice, &data(0, "aGVs")).await;
    patiently("the data is acknowledged", acknowledged)
        .await
        .unwrap();
    gabble.tell(at_alice.clone(), &data(1, "bG8=")).await;
    // The service echoes each piece as it comes, or both together.
    let mut echoed = Vec::new();
    for seq in 0.. {
        let block = gabble.asked("data").await;
        assert_eq!(block.payload().attr("seq"), Some(&*seq.to_string()));
        echoed.extend(BASE64.decode(block.payload().text()).unwrap());
        block.grant(None);
        if echoed.len() >= 5 {
            break;
        }
    }
    assert_eq!(echoed, b"hello");
    let close = gabble.ask(&at_alice, &close()).await;
    patiently("the close is answered", close).await.unwrap();
    assert_eq!(alice.connection_closed().await, (5, 5, None));
}

async fn a_gabble_offers_us_a_tube(server: &Server) {
    let mut alice = Person::lenient(server, "alice").await;
    let mut gabble = Gabble::on(server, "fernand").await;
    alice.tubes.befriend(&gabble.jid).await;
    gabble.befriend(&alice.jid).await;
    let at_alice = gabble.sees().await;
    gabble
        .tell(
            at_alice.clone(),
            &format!(
                "<tube xmlns='{}' type='stream' service='x-echo' id='2077776406'><parameters>\
         <parameter name='greeting' type='str'>hello</parameter></parameters></tube>",
                ns::TUBES
            ),
        )
        .await;
    let tube = alice.offered().await;
    let listen = "127.0.0.1:0".parse().unwrap();
    let address = alice
        .tubes
        .accept(tube, listen, Access::Localhost)
        .await
        .unwrap();
    let mut program = connect(&address).await.unwrap();
    program.write_all(b"hello").await.unwrap();

    let initiation = gabble.asked("si").await;
    let si = initiation.payload().clone();
    assert_eq!(si.attr("profile"), Some(ns::TUBES));
    assert!(si.get_child("si-multiple", ns::SI_MULTIPLE).is_some());
    let stream = si.get_child("stream", ns::TUBES).unwrap();
    assert_eq!(stream.attr("tube"), Some("2077776406"));
    let sid = si.attr("id").unwrap().to_owned();
    initiation.grant(Some(format!(
        "<si xmlns='{}'><si-multiple xmlns='{}'><value>{}</value></si-multiple><tube xmlns='{}'/></si>",
        ns::SI, ns::SI_MULTIPLE, ns::IBB, ns::TUBES
    ).parse().unwrap()));

    let open = gabble.asked("open").await;
    assert_eq!(open.payload().attr("sid"), Some(&*sid));
    assert_eq!(open.payload().attr("stanza"), None);
    open.grant(None);
    let block = gabble.asked("data").await;
    assert_eq!(block.payload().text(), "aGVsbG8=");
    block.grant(None);
    gabble
        .tell(
            at_alice.clone(),
            &format!(
                "<data xmlns='{}' sid='{sid}' seq='0'>d29ybGQ=</data>",
                ns::IBB
            ),
        )
        .await;
    let mut world = [0; 5];
    patiently("the answer arrives", program.read_exact(&mut world))
        .await
        .unwrap();
    assert_eq!(&world, b"world");

    // The program ends; Gabble answers the close and sends one back.
    program.shutdown().await.unwrap();
    gabble.asked("close").await.grant(None);
    let back = gabble
        .ask(
            &at_alice,
            &format!("<close xmlns='{}' sid='{sid}'/>", ns::IBB),
        )
        .await;
    patiently("the close back is answered", back).await.unwrap();
    assert_eq!(
        patiently("the program's end", program.read(&mut world))
            .await
            .unwrap(),
        0
    );
    assert_eq!(alice.connection_closed().await, (5, 5, None));

    // Gabble closes a tube with the old attribute, and to the bare JID.
    gabble
        .tell(
            alice.jid.clone(),
            &format!("<close xmlns='{}' tube='2077776406'/>", ns::TUBES),
        )
        .await;
    assert_eq!(
        alice.tube_closed().await.unwrap().kind,
        tubes::FailureKind::Closed
    );
}

/// It died, and came back before anybody missed it.
async fn a_tube_that_its_offerer_has_forgotten_is_closed(server: &Server) {
    let mut alice = Person::lenient(server, "alice").await;
    let mut gabble = Gabble::on(server, "fernand").await;
    alice.tubes.befriend(&gabble.jid).await;
    gabble.befriend(&alice.jid).await;
    let at_alice = gabble.sees().await;
    let offer = format!(
        "<tube xmlns='{}' type='stream' service='x-echo' id='7'/>",
        ns::TUBES
    );
    gabble.tell(at_alice, &offer).await;
    let tube = alice.offered().await;
    let listen = "127.0.0.1:0".parse().unwrap();
    let accepting = alice.tubes.accept(tube, listen, Access::Localhost);
    let address = accepting.await.unwrap();
    let mut program = connect(&address).await.unwrap();
    let (type_, condition) = (ErrorType::Modify, DefinedCondition::BadRequest);
    gabble.asked("si").await.refuse_with(type_, condition);
    assert!(program.read_u8().await.is_err());
    let kind = alice.tube_closed().await.map(|failure| failure.kind);
    assert_eq!(kind, Some(tubes::FailureKind::Closed));
}

/// As Gabble asks: SOCKS5 first, and able to fall back.
fn initiation(purpose: &str) -> String {
    format!(
        "<si xmlns='{si}' id='{SID}' profile='{tubes}'><feature xmlns='{feature}'>\
         <x xmlns='jabber:x:data' type='form'><field var='stream-method' type='list-single'>\
         <option><value>{socks5}</value></option><option><value>{ibb}</value></option></field></x>\
         </feature><si-multiple xmlns='{multiple}'/>{purpose}</si>",
        si = ns::SI,
        tubes = ns::TUBES,
        feature = ns::FEATURE_NEG,
        socks5 = ns::BYTESTREAMS,
        ibb = ns::IBB,
        multiple = ns::SI_MULTIPLE,
    )
}

fn data(seq: u16, base64: &str) -> String {
    format!(
        "<data xmlns='{}' sid='{SID}' seq='{seq}'>{base64}</data>",
        ns::IBB
    )
}

fn close() -> String {
    format!("<close xmlns='{}' sid='{SID}'/>", ns::IBB)
}

/// As Gabble draws them.
const SID: &str = "1795237055-2088789833";
