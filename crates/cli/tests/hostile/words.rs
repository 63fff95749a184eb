//! What is said on the wire, as somebody says it who writes it by hand.

/// Where a tube was offered, which a question for a connection has to say.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Through {
    /// Between contacts.
    Contact,
    /// In a room.
    Room,
}

/// An IQ that asks for something to be done.
pub(crate) fn set(to: &str, id: &str, what: &str) -> String {
    format!("<iq type='set' id='{id}' to='{to}'>{what}</iq>")
}

/// A message with nothing but this.
pub(crate) fn tell(to: &str, what: &str) -> String {
    format!("<message to='{to}'>{what}</message>")
}

/// Asks for a bytestream through a tube, by these methods, as somebody of another kind does.
pub(crate) fn initiation(sid: &str, through: Through, tube: u64, methods: &[&str]) -> String {
    asked(sid, through, tube, methods, "")
}

/// The same as somebody of the own kind does, who has this key.
pub(crate) fn sealed(sid: &str, through: Through, tube: u64, key: &str) -> String {
    let kind = format!("<kind xmlns='urn:x-tubes:0'><secure key='{key}'/></kind>");
    asked(sid, through, tube, &[IBB], &kind)
}

fn asked(sid: &str, through: Through, tube: u64, methods: &[&str], kind: &str) -> String {
    let stream = match through {
        Through::Contact => "stream",
        Through::Room => "muc-stream",
    };
    let options: String = methods
        .iter()
        .map(|method| format!("<option><value>{method}</value></option>"))
        .collect();
    format!(
        "<si xmlns='http://jabber.org/protocol/si' id='{sid}' profile='{TUBES}'>\
         <feature xmlns='http://jabber.org/protocol/feature-neg'>\
         <x xmlns='jabber:x:data' type='form'><field var='stream-method' type='list-single'>\
         {options}</field></x></feature><{stream} xmlns='{TUBES}' tube='{tube}'/>{kind}</si>"
    )
}

/// Offers a file, with these attributes, in-band.
pub(crate) fn file(sid: &str, attributes: &str, contents: &str) -> String {
    format!(
        "<si xmlns='http://jabber.org/protocol/si' id='{sid}' profile='{FILES}'>\
         <file xmlns='{FILES}' {attributes}>{contents}</file>\
         <feature xmlns='http://jabber.org/protocol/feature-neg'>\
         <x xmlns='jabber:x:data' type='form'><field var='stream-method' type='list-single'>\
         <option><value>{IBB}</value></option></field></x></feature></si>"
    )
}

/// Offers a tube.
pub(crate) fn offer(number: u64, service: &str, parameters: &str) -> String {
    format!(
        "<tube xmlns='{TUBES}' type='stream' service='{service}' id='{number}'>\
         <parameters>{parameters}</parameters></tube>"
    )
}

/// Opens an in-band bytestream.
pub(crate) fn open(sid: &str, block_size: u32) -> String {
    format!("<open xmlns='{IBB}' sid='{sid}' block-size='{block_size}' stanza='iq'/>")
}

/// A block of one.
pub(crate) fn data(sid: &str, seq: u64, block: &str) -> String {
    format!("<data xmlns='{IBB}' sid='{sid}' seq='{seq}'>{block}</data>")
}

/// Answers a question with nothing.
pub(crate) fn result(to: &str, id: &str) -> String {
    format!("<iq type='result' id='{id}' to='{to}'/>")
}

/// An answer that would break a bytestream off, if a block of that was asked by this name.
pub(crate) fn refusal(to: &str, id: &str) -> String {
    format!(
        "<iq type='error' id='{id}' to='{to}'><error type='cancel'>\
         <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    )
}

/// Agrees to a question for a bytestream, in-band, and says this besides.
pub(crate) fn agrees(asked: &str, more: &str) -> String {
    let (to, id) = (attribute(asked, "from"), attribute(asked, "id"));
    format!(
        "<iq type='result' id='{id}' to='{to}'><si xmlns='http://jabber.org/protocol/si'>\
         <feature xmlns='http://jabber.org/protocol/feature-neg'>\
         <x xmlns='jabber:x:data' type='submit'><field var='stream-method'>\
         <value>{IBB}</value></field></x></feature>{more}</si></iq>"
    )
}

/// The value of an attribute of a stanza that was heard.
pub(crate) fn attribute<'a>(stanza: &'a str, name: &str) -> &'a str {
    let (_, rest) = stanza.split_once(&format!(" {name}='")).unwrap();
    rest.split('\'').next().unwrap()
}

/// Closes one.
pub(crate) fn close(sid: &str) -> String {
    format!("<close xmlns='{IBB}' sid='{sid}'/>")
}

/// XEP-0047.
pub(crate) const IBB: &str = "http://jabber.org/protocol/ibb";

/// XEP-0065.
pub(crate) const SOCKS5: &str = "http://jabber.org/protocol/bytestreams";

/// XEP-0096.
const FILES: &str = "http://jabber.org/protocol/si/profile/file-transfer";

/// Gabble's.
pub(crate) const TUBES: &str = "http://telepathy.freedesktop.org/xmpp/tubes";
