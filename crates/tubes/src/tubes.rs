//! The handle of an account and its tubes.

use tubes_actors::{
    AcceptError, EnterError, Events, FileId, OfferError, SendFileError, ShareError, SharedSession,
    State, Subscribe, TubeId,
};
use tubes_local::{Access, Address, Listener, Socket};
use tubes_session::{Account, Contact, Login};
use tubes_transport::{Gone, Stanzas};
use xmpp_parsers::jid::{BareJid, FullJid};

use crate::{Builder, FileTransfer, Offer, SendError, SendFile};

/// A logged-in account and its tubes. Cheap to clone; dropping the last clone closes it, and
/// [`leave`](Self::leave) does so properly.
///
/// ```
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use tokio::net::TcpStream;
/// use tubes::{Access, Address, Command, Direction, Event, Offer, Tubes};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use tubes_server::{Server, ServerKind, Setup};
/// # let server = Server::start(ServerKind::Embedded, Setup::new()).await?;
/// # let keys = tempfile::tempdir()?;
/// # let mut people = Vec::new();
/// # for name in ["alice", "fernand"] {
/// #     let (account, at) = (server.fresh_account(name).await?, server.address());
/// #     let account = tubes::Account::new(account.jid.into(), account.password)?
/// #         .with_server(&at.ip().to_string(), at.port())?
/// #         .with_roots_pem(server.ca().pem().as_bytes())?;
/// #     let builder = Tubes::builder(account).keys_in(keys.path());
/// #     people.push(builder.start().await?.0);
/// # }
/// # let (fernand, alice) = (people.pop().ok_or("two")?, people.pop().ok_or("two")?);
/// # let fernands = fernand.login().await?.jid.to_bare();
/// # let alices = alice.login().await?.jid.to_bare();
/// alice.befriend(&fernands).await;
/// alice.offer(Offer::command(fernands, "x-echo", Command::new("cat"))).await?;
///
/// // At the other end:
/// let mut events = fernand.events();
/// fernand.befriend(&alices).await;
/// let tube = loop {
///     match events.next().await.ok_or("the account is closed")? {
///         Event::TubeOffered { tube, direction: Direction::In, .. } => break tube,
///         _ => {}
///     }
/// };
/// let address = fernand.accept(tube, "127.0.0.1:0".parse()?, Access::Localhost).await?;
/// let Address::Tcp { host, port } = address else { return Err("another address".into()) };
/// let mut program = TcpStream::connect((host, port)).await?;
/// program.write_all(b"hello").await?;
/// program.shutdown().await?;
/// let mut answer = String::new();
/// program.read_to_string(&mut answer).await?;
/// assert_eq!(answer, "hello");
/// fernand.leave().await;
/// alice.leave().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Tubes(tubes_actors::Account);

impl Tubes {
    /// Puts an account together.
    pub fn builder(account: Account) -> Builder {
        Builder::new(account)
    }

    pub(crate) fn new(account: tubes_actors::Account) -> Self {
        Self(account)
    }

    /// The present state, and a further listener for what happens from now on.
    ///
    /// There is no gap between the two: every event is either part of the state or will be heard.
    /// Whoever [missed](tubes_actors::Event::Missed) events asks for both anew;
    /// [`State::since`] says what must have happened meanwhile.
    pub fn watch(&self) -> (State, Events) {
        self.0.watch()
    }

    /// A further listener, for what happens from now on.
    pub fn events(&self) -> Events {
        self.watch().1
    }

    /// The present state: the link, the contacts online, the tubes and their connections.
    pub fn state(&self) -> State {
        self.watch().0
    }

    /// Deals with a contact: hears its offers, and makes sure that both see each other's
    /// presence. Asks for the subscription and grants theirs (RFC 6121 §3).
    pub async fn befriend(&self, contact: &BareJid) {
        self.0.consent(contact.clone(), Subscribe::Yes).await;
    }

    /// Deals with a contact without touching the roster: hears its offers. They reach each other only as
    /// far as presence does. Whose keys are trusted is not changed by it.
    pub async fn deal_with(&self, contact: &BareJid) {
        self.0.consent(contact.clone(), Subscribe::No).await;
    }

    /// What is known of a contact at this moment: whether it lets this account see its presence,
    /// and which of its resources are online and can do what. Complete a moment after the contact
    /// was named with [`befriend`](Self::befriend) or [`deal_with`](Self::deal_with). Cancel safe.
    ///
    /// # Errors
    ///
    /// [`Gone::Session`](Gone) when the account is closed, or offline for good.
    pub async fn contact(&self, jid: &BareJid) -> Result<Contact, Gone> {
        self.0.contact(jid.clone()).await
    }

    /// How this client logged in last: its address, the server, what both agreed on. Cancel
    /// safe.
    ///
    /// # Errors
    ///
    /// [`Gone::Session`](Gone) when the account is closed, or offline for good.
    pub async fn login(&self) -> Result<Login, Gone> {
        self.0.login().await
    }

    /// The way to say things of one's own over the account's session, beside the tubes: to ask
    /// a server or a contact something, or to run a transport by hand. What is said so shares
    /// the queues, and the server's limits, with the tubes.
    pub fn stanzas(&self) -> &Stanzas {
        self.0.stanzas()
    }

    /// Uses the account's session beside the tubes, for messages, presences and questions of one's own: a
    /// chat client that also offers tubes. One part of the application at a time has it; dropping it
    /// gives it back.
    ///
    /// # Errors
    ///
    /// Another part has it, or the account is closed.
    ///
    /// ```
    /// use tubes::{Heard, Tubes};
    /// use xmpp_parsers::message::{Lang, Message};
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use tubes_server::{Server, ServerKind, Setup};
    /// # let server = Server::start(ServerKind::Embedded, Setup::new()).await?;
    /// # let keys = tempfile::tempdir()?;
    /// # let mut people = Vec::new();
    /// # for name in ["alice", "fernand"] {
    /// #     let (account, at) = (server.fresh_account(name).await?, server.address());
    /// #     let account = tubes::Account::new(account.jid.into(), account.password)?
    /// #         .with_server(&at.ip().to_string(), at.port())?
    /// #         .with_roots_pem(server.ca().pem().as_bytes())?;
    /// #     let builder = Tubes::builder(account).keys_in(keys.path());
    /// #     people.push(builder.start().await?.0);
    /// # }
    /// # let (fernand, alice) = (people.pop().ok_or("two")?, people.pop().ok_or("two")?);
    /// # let fernands = fernand.login().await?.jid.to_bare();
    /// # let alices = alice.login().await?.jid.to_bare();
    /// # fernand.befriend(&alices).await;
    /// let mut session = alice.share_session().await?;
    /// # let at_alice = tubes::Jid::from(alice.login().await?.jid);
    /// # let other = fernand.share_session().await?;
    /// # let hello = Message::chat(at_alice).with_body(Lang::default(), "hello".to_owned());
    /// # other.send_message(hello).await?;
    /// # drop(fernands);
    /// while let Some(heard) = session.next().await {
    ///     if let Heard::Message(message) = heard
    ///         && let Some(said) = message.bodies.values().next()
    ///     {
    ///         assert_eq!(said, "hello");
    ///         let answer = Message::chat(message.from).with_body(Lang::default(), said.clone());
    ///         session.send_message(answer).await?;
    ///         break;
    ///     }
    /// }
    /// alice.leave().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn share_session(&self) -> Result<SharedSession, ShareError> {
        self.0.share_session().await
    }

    /// Announces that offers of these services are welcome, instead of the former ones.
    pub async fn welcome<S: Into<String>>(&self, services: impl IntoIterator<Item = S>) {
        self.0
            .welcome(services.into_iter().map(Into::into).collect())
            .await;
    }

    /// Comes into a chat room (XEP-0045): its address and, as the resource, the name that is wanted
    /// there. Returns the name that it came to be, as others may have that one. A room that does not
    /// exist is made.
    ///
    /// What is offered there is heard from now on, and who comes and leaves. When the room, or the link to
    /// the server, was lost, the account comes back by itself, until it [leaves](Self::leave_room) or is
    /// put out.
    ///
    /// # Errors
    ///
    /// The room does not let this account in, and why.
    pub async fn enter(&self, room: FullJid) -> Result<FullJid, EnterError> {
        self.0.enter(room, None).await
    }

    /// Comes into a chat room that wants a password. See [`enter`](Self::enter).
    ///
    /// # Errors
    ///
    /// The room does not let this account in, and why.
    pub async fn enter_with_password(
        &self,
        room: FullJid,
        password: impl Into<String>,
    ) -> Result<FullJid, EnterError> {
        self.0.enter(room, Some(password.into())).await
    }

    /// Goes by another name in a room that this account is in, if nobody has it there: then
    /// [`RoomEntered`](tubes_actors::Event::RoomEntered) says so. In-band connections there break, as the room knows
    /// nobody by the former name any more; others, and the tubes, go on.
    pub async fn rename_in_room(&self, to: FullJid) {
        self.0.rename_in_room(to).await;
    }

    /// Closes all tubes in a room, and leaves it. Returns when that is done.
    pub async fn leave_room(&self, room: &BareJid) {
        self.0.leave_room(room.clone()).await;
    }

    /// Offers a service to a contact: to every resource of it that does tubes, now and later,
    /// until the tube is closed; or to all who are in a room.
    pub async fn offer(&self, offer: Offer) -> Result<TubeId, OfferError> {
        let Offer {
            audience,
            service,
            export,
            parameters,
        } = offer;
        self.0.offer(audience, service, export, parameters).await
    }

    /// Accepts an offer: programs connect at `address` from now on. Returns where exactly, as
    /// the kernel may have chosen the port.
    pub async fn accept(
        &self,
        tube: TubeId,
        address: Address,
        access: Access,
    ) -> Result<Address, AcceptError> {
        self.0.accept(tube, address, access).await
    }

    /// Accepts an offer: programs are let in at a socket that listens already. Returns its
    /// address. The listener is to be made in the runtime that the account was started in, as its
    /// sockets stay there; it is closed with the tube, or at once if the tube is not accepted.
    pub async fn accept_at(
        &self,
        tube: TubeId,
        listener: Listener,
    ) -> Result<Address, AcceptError> {
        self.0.accept_at(tube, listener).await
    }

    /// Accepts an offer, if that was not done, and connects a socket in hand through the tube.
    pub async fn attach(&self, tube: TubeId, socket: Socket) -> Result<(), AcceptError> {
        self.0.attach(tube, socket).await
    }

    /// Closes one tube, or declines an offer; the account stays.
    ///
    /// Its connections finish what they were given, within a few seconds; returns when the tube
    /// is gone.
    pub async fn close(&self, tube: TubeId) {
        self.0.close(tube).await;
    }

    /// Sends a file. It is open from here on, and offered as soon as somebody is there who takes it. This side stays
    /// until the receiver has said that it has the whole, where it can say so; a part that it had from an
    /// earlier time is not sent again.
    ///
    /// # Errors
    ///
    /// It is no file that can be read, or the account sends as many as it may.
    pub async fn send_file(&self, file: SendFile) -> Result<FileTransfer, SendError> {
        let (source, folder) = file.open().await?;
        let events = self.events();
        let SendFile {
            to, description, ..
        } = file;
        let id = self.0.send_file(to, source, folder, description).await?;
        let transfer = FileTransfer::begun(&self.0, id, events).await;
        transfer.ok_or(SendError::Account(SendFileError::Closed))
    }

    /// A file that is offered or on its way: that of an [`Event::FileOffered`](tubes_actors::Event::FileOffered).
    /// None if it is over.
    pub fn file(&self, file: FileId) -> Option<FileTransfer> {
        FileTransfer::of(&self.0, file)
    }

    /// Ends the account: closes all tubes and logs out, within about five seconds.
    pub async fn leave(self) {
        self.0.leave().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handle_and_the_events_go_to_any_thread() {
        fn goes_anywhere<T: Send + Sync + 'static>() {}
        goes_anywhere::<Tubes>();
        goes_anywhere::<Events>();
        goes_anywhere::<Builder>();
    }
}
