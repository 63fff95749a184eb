//! A Gabble's in-band bytestream.

use std::collections::VecDeque;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::sync::mpsc;
use tubes_protocol::ns;
use tubes_transport::{Inbound, Patience, Question, Stanzas};
use xmpp_parsers::minidom::Element;

use super::{Gabble, Negotiation};
use crate::stage::patiently;

/// An open in-band bytestream.
pub(crate) struct InBand {
    negotiation: Negotiation,
    /// No block is longer than was said at the opening.
    block_size: usize,
    said: u16,
    heard: u16,
}

impl Gabble {
    /// Opens the bytestream in-band, as its initiator.
    pub(crate) async fn opens_in_band(
        &mut self,
        negotiation: &Negotiation,
        block_size: u16,
    ) -> InBand {
        let sid = &negotiation.sid;
        let open = format!(
            "<open xmlns='{}' sid='{sid}' block-size='{block_size}'/>",
            ns::IBB
        );
        let opening = self.ask(&negotiation.peer, &open).await;
        let opened = patiently("it is opened in-band", opening).await.unwrap();
        assert_eq!(opened, None);
        InBand::new(negotiation, CHUNK.min(usize::from(block_size)))
    }

    /// Is asked to take the bytestream in-band, and does.
    pub(crate) async fn is_opened_in_band(&mut self, negotiation: &Negotiation) -> InBand {
        let open = self.asked("open").await;
        assert_eq!(open.payload().ns(), ns::IBB);
        assert_eq!(open.payload().attr("sid"), Some(&*negotiation.sid));
        assert_eq!(open.payload().attr("stanza"), None);
        let block_size = open.payload().attr("block-size").unwrap().parse().unwrap();
        open.grant(None);
        InBand::new(negotiation, CHUNK.min(block_size))
    }

    /// Says something, and hears so much meanwhile.
    pub(crate) async fn converses_in_band(
        &mut self,
        stream: &mut InBand,
        said: &[u8],
        hear: usize,
    ) -> Vec<u8> {
        let InBand {
            negotiation,
            block_size,
            said: seq,
            heard: expected,
        } = stream;
        let stanzas = self.session.stanzas().clone();
        let saying = say(&stanzas, negotiation, *block_size, seq, said);
        let hearing = hear_blocks(&mut self.heard, negotiation, expected, hear);
        let conversing = async { tokio::join!(saying, hearing).1 };
        patiently("both have said it all in-band", conversing).await
    }

    /// Closes, and takes the answer.
    pub(crate) async fn closes_in_band(&mut self, stream: InBand) {
        let peer = &stream.negotiation.peer;
        let closing = self.ask(peer, &close(&stream.negotiation)).await;
        patiently("the close is answered", closing).await.unwrap();
    }

    /// Is told that the other side closes, and says the same.
    pub(crate) async fn is_closed_in_band(&mut self, stream: InBand) {
        let said = self.asked("close").await;
        assert_eq!(said.payload().attr("sid"), Some(&*stream.negotiation.sid));
        said.grant(None);
        let peer = &stream.negotiation.peer;
        let closing = self.ask(peer, &close(&stream.negotiation)).await;
        // The other side may know nothing of the stream any more.
        let _ = patiently("the close back is answered", closing).await;
    }
}

impl InBand {
    fn new(negotiation: &Negotiation, block_size: usize) -> Self {
        Self {
            negotiation: negotiation.clone(),
            block_size,
            said: 0,
            heard: 0,
        }
    }
}

fn close(Negotiation { sid, .. }: &Negotiation) -> String {
    format!("<close xmlns='{}' sid='{sid}'/>", ns::IBB)
}

/// Always by IQ, and at most ten of them unacknowledged.
async fn say(
    stanzas: &Stanzas,
    negotiation: &Negotiation,
    block_size: usize,
    seq: &mut u16,
    said: &[u8],
) {
    let Negotiation { sid, peer, .. } = negotiation;
    let mut unacknowledged = VecDeque::new();
    for chunk in said.chunks(block_size) {
        let data = format!(
            "<data xmlns='{}' sid='{sid}' seq='{seq}'>{}</data>",
            ns::IBB,
            BASE64.encode(chunk)
        );
        *seq = seq.wrapping_add(1);
        let data: Element = data.parse().unwrap();
        let to = Some(peer.clone().into());
        let asked = stanzas.ask(to, Question::Set, data, Patience::WhileAlive);
        unacknowledged.push_back(asked.await.unwrap());
        if unacknowledged.len() == WINDOW
            && let Some(oldest) = unacknowledged.pop_front()
        {
            oldest.await.unwrap();
        }
    }
    for answer in unacknowledged {
        answer.await.unwrap();
    }
}

/// Blocks by IQ, which it acknowledges, or by message.
async fn hear_blocks(
    heard: &mut mpsc::Receiver<Inbound>,
    Negotiation { sid, .. }: &Negotiation,
    seq: &mut u16,
    length: usize,
) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < length {
        let inbound = heard.recv().await.unwrap();
        let data = inbound.payload().clone();
        if !data.is("data", ns::IBB) {
            continue;
        }
        assert_eq!(data.attr("sid"), Some(&**sid));
        // A Gabble does not look at it; others do.
        assert_eq!(data.attr("seq"), Some(&*seq.to_string()));
        *seq = seq.wrapping_add(1);
        all.extend(BASE64.decode(data.text()).unwrap());
        if let Inbound::Ask(ask) = inbound {
            ask.grant(None);
        }
    }
    all
}

/// A Gabble reads so much of its program's socket at a time.
const CHUNK: usize = 1024;

/// Blocks that may be unacknowledged.
const WINDOW: usize = 10;
