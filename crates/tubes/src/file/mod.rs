//! Files, beside the tubes.
//!
//! ```text
//!   SendFile ── Tubes::send_file ──► FileTransfer ──┐
//!   Event::FileOffered ── Tubes::file ──► FileTransfer ── accept(Destination)
//!                                                   └──► its steps, to the last one
//! ```

mod transfer;

use std::io;
use std::path::PathBuf;

use tokio::task::spawn_blocking;
use tubes_actors::SendFileError;
use tubes_files::{Outgoing, Source, SourceError};
use xmpp_parsers::jid::Jid;

pub use self::transfer::{FileTransfer, Outcome, Step};

/// A file to send to a contact, or to one resource of it.
///
/// ```no_run
/// # async fn example(tubes: tubes::Tubes) -> Result<(), Box<dyn std::error::Error>> {
/// use tubes::{BareJid, SendFile, Step};
///
/// let fernand: BareJid = "fernand@example.net".parse()?;
/// let mut transfer = tubes.send_file(SendFile::new(fernand, "photo.jpg")).await?;
/// while let Some(step) = transfer.next().await {
///     match step {
///         Step::Progress { bytes, size } => println!("{bytes} of {size}"),
///         Step::Ended(outcome) => println!("{outcome:?}"),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SendFile {
    pub(crate) to: Jid,
    content: Content,
    pub(crate) description: Option<String>,
}

#[derive(Clone, Debug)]
enum Content {
    Listed(Box<Outgoing>),
    Named(PathBuf),
}

impl SendFile {
    /// The file at this path. To a contact it is offered as soon as a program of it is online that takes
    /// files; to a resource at once.
    pub fn new(to: impl Into<Jid>, path: impl Into<PathBuf>) -> Self {
        Self {
            to: to.into(),
            content: Content::Named(path.into()),
            description: None,
        }
    }

    /// A file that was found by [`walk`](crate::files::walk()): our own kind puts it into the same folders
    /// there.
    pub fn listed(to: impl Into<Jid>, file: Outgoing) -> Self {
        Self {
            to: to.into(),
            content: Content::Listed(Box::new(file)),
            description: None,
        }
    }

    /// Says something of it to whoever decides there: 1 to 4,096 bytes of text, without control characters
    /// other than line breaks and tabs. Otherwise it is not sent.
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Opens it; the folders that it is in.
    pub(crate) async fn open(&self) -> Result<(Source, Vec<String>), SendError> {
        let content = self.content.clone();
        let opening = spawn_blocking(move || match content {
            Content::Listed(file) => {
                let folders = file.path().folders().iter();
                let folders = folders.map(|name| name.as_str().to_owned()).collect();
                Ok((file.open()?, folders))
            }
            Content::Named(path) => Ok((Source::open(&path)?, Vec::new())),
        });
        opening.await.map_err(io::Error::other)?
    }
}

/// Why a file cannot be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The account does not send it.
    #[error(transparent)]
    Account(#[from] SendFileError),
    /// The runtime is at its end.
    #[error("cannot open the file: {0}")]
    Io(#[from] io::Error),
    /// It cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
}
