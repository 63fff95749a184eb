//! Bytes that wait to be read.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::AsyncReadExt;
use tubes::{Event, Events, FullJid, Limit, Offer, TubeId};
use tubes_protocol::ns;
use tubes_protocol::tube::TubeNumber;
use tubes_server::{Server, ServerKind};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::minidom::rxml::xml_ncname;

use super::Scene;
use crate::limits::initiation;
use crate::stage::{Content, Family, Outsider, Person, Service, Stream, digest, on, patiently};

/// It minds no acknowledgements, and what it speaks to does not read.
#[tokio::test(flavor = "multi_thread")]
async fn a_contact_whose_bytes_nobody_reads_has_a_bound_and_holds_nothing_when_they_are_gone() {
    on(ServerKind::Embedded, |server| async move {
        let mut scene = Scene::set(server).await;
        let mut carol = Carol::of(server, &mut scene).await;
        let mut unread = Vec::new();
        for number in 0..STREAMS {
            unread.push(carol.open(number).await);
        }
        let block = vec![0; BLOCK];
        let told = tokio::spawn(is_told(scene.alice().tubes.events()));
        for seq in 0..BLOCKS {
            if told.is_finished() {
                break;
            }
            for number in 0..STREAMS {
                carol.say(number, seq, &block).await;
            }
        }
        let jid = carol.program.jid.clone();
        scene.exceeded(Limit::Unread, jid).await;

        // The services end, and nobody will ever read it. What comes now would not fit in beside it.
        drop(unread);
        for _ in 0..STREAMS {
            carol.lost_one(scene.alice()).await;
        }
        let mut service = carol.open(STREAMS).await;
        let said = Content::of(1, BLOCK * usize::from(FEW));
        for (seq, block) in (0..).zip(said.chunks(BLOCK)) {
            carol.say(STREAMS, seq, block).await;
        }
        // The answer tells that all of it has arrived.
        carol
            .program
            .ask(&carol.at_alice, NOTHING)
            .await
            .unwrap_err();
        let mut heard = vec![0; said.len()];
        let reading = service.read_exact(&mut heard);
        patiently("all of it is there", reading).await.unwrap();
        assert_eq!(digest(&heard), digest(&said));
        carol.program.leave().await;
        scene.leave().await;
    })
    .await;
}

/// A contact that speaks by hand to a service of Alice's.
struct Carol {
    program: Outsider,
    at_alice: FullJid,
    tube: TubeId,
    number: TubeNumber,
    service: Service,
}

impl Carol {
    async fn of(server: &Server, scene: &mut Scene) -> Self {
        let alice = scene.alice();
        let at_alice = alice.online().await;
        let features = [ns::SI, ns::IBB, ns::TUBES];
        let mut program = Outsider::that_does(server, "carol", &features).await;
        alice.tubes.befriend(&program.jid).await;
        program.befriend(&alice.jid).await;
        // The kernel takes little of what nobody reads there.
        let service = Service::listen(Family::Unix).await.unwrap();
        let offer = Offer::new(program.jid.clone(), "x-idle", service.address());
        let tube = alice.tubes.offer(offer).await.unwrap();
        let number = program.offered().await;
        Self {
            program,
            at_alice,
            tube,
            number,
            service,
        }
    }

    /// Opens a stream; what the service has of it.
    async fn open(&mut self, stream: usize) -> Stream {
        let initiation = initiation(&sid(stream), &self.number.to_string());
        let open = format!(
            "<open xmlns='{}' sid='{}' block-size='{BLOCK}'/>",
            ns::IBB,
            sid(stream)
        );
        for question in [initiation, open] {
            self.program.ask(&self.at_alice, &question).await.unwrap();
        }
        self.service.accept().await
    }

    /// One of its connections is no more.
    async fn lost_one(&self, alice: &mut Person) {
        alice
            .event(|event| match event {
                Event::ConnectionClosed { tube, .. } if *tube == self.tube => Some(()),
                _ => None,
            })
            .await;
    }

    /// In a message: nobody needs to acknowledge it.
    async fn say(&self, stream: usize, seq: u16, block: &[u8]) {
        let data = Element::builder("data", ns::IBB)
            .attr(xml_ncname!("sid").into(), sid(stream))
            .attr(xml_ncname!("seq").into(), seq.to_string())
            .append(BASE64.encode(block));
        self.program.tell(&self.at_alice, vec![data.build()]).await;
    }
}

/// Ends when it is told that too much waits to be read.
async fn is_told(mut events: Events) {
    while let Some(event) = events.next().await {
        if let Event::LimitReached { limit, .. } = event
            && limit == Limit::Unread
        {
            return;
        }
    }
}

fn sid(stream: usize) -> String {
    format!("stream-{stream}")
}

/// What nobody has an answer to.
const NOTHING: &str = "<nothing xmlns='urn:example:nothing'/>";

/// Bytes in a block: as many as there may be.
const BLOCK: usize = 65_535;

/// Streams that hold half a mebibyte each: together more than the 32 MiB of a contact.
const STREAMS: usize = 70;

/// Blocks in each: beside what is held, what a socket and the copying take.
const BLOCKS: u16 = 13;

/// Blocks that take more than one block's room, whatever the socket takes of them at once; and no more than a
/// wire may hold in base64 until its stream comes to it.
const FEW: u16 = 6;
