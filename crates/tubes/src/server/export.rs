//! What a server exports, and what it tells of it with each offer.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::net as unix;
use std::sync::Arc;

use tubes_local::{Address, AddressError, Command, Export};
use tubes_protocol::tube::Parameters;
use tubes_transport::async_trait;

use super::TubeRequest;

/// Something that listens, or where something does.
pub trait Exportable {
    /// What peers get to.
    ///
    /// # Errors
    ///
    /// It cannot be reached from this machine, or not more than once.
    fn to_export(&self) -> Result<Export, ExportError>;
}

impl Exportable for Export {
    fn to_export(&self) -> Result<Self, ExportError> {
        if let Some(address) = self.address() {
            address.to_export()?;
        }
        Ok(self.clone())
    }
}

impl Exportable for Command {
    fn to_export(&self) -> Result<Export, ExportError> {
        Ok(self.clone().into())
    }
}

impl Exportable for Address {
    fn to_export(&self) -> Result<Export, ExportError> {
        match self {
            Self::Tcp { port: 0, .. } => Err(ExportError::NoPort),
            Self::Unix(path) if path.as_os_str().is_empty() => Err(ExportError::Unnamed),
            Self::Stdio => Err(ExportError::Stdio),
            _ => Ok(self.clone().into()),
        }
    }
}

impl Exportable for SocketAddr {
    fn to_export(&self) -> Result<Export, ExportError> {
        let mut reached = *self;
        // What listens everywhere listens here, too.
        if self.ip().is_unspecified() {
            reached.set_ip(match self {
                Self::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                Self::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            });
        }
        Address::from(reached).to_export()
    }
}

impl Exportable for std::net::TcpListener {
    fn to_export(&self) -> Result<Export, ExportError> {
        self.local_addr().map_err(ExportError::from)?.to_export()
    }
}

impl Exportable for tokio::net::TcpListener {
    fn to_export(&self) -> Result<Export, ExportError> {
        self.local_addr().map_err(ExportError::from)?.to_export()
    }
}

impl Exportable for unix::SocketAddr {
    fn to_export(&self) -> Result<Export, ExportError> {
        if let Some(path) = self.as_pathname() {
            return Ok(Address::unix(path)?.into());
        }
        let name = abstract_name(self).and_then(|name| std::str::from_utf8(name).ok());
        let name = name.ok_or(ExportError::Unnamed)?;
        Ok(format!("abstract:{name}").parse::<Address>()?.into())
    }
}

impl Exportable for unix::UnixListener {
    fn to_export(&self) -> Result<Export, ExportError> {
        self.local_addr().map_err(ExportError::from)?.to_export()
    }
}

impl Exportable for tokio::net::UnixListener {
    fn to_export(&self) -> Result<Export, ExportError> {
        let address = unix::SocketAddr::from(self.local_addr()?);
        address.to_export()
    }
}

/// Why a socket cannot be exported.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The name of a Unix socket that does not fit.
    #[error("cannot export the socket: {0}")]
    Address(#[from] AddressError),
    /// The system does not say where the socket is.
    #[error("cannot export the socket: its address is unknown: {0}")]
    Io(#[from] Arc<io::Error>),
    /// Nothing listens at port 0.
    #[error("cannot export port 0: name the port that the service listens at")]
    NoPort,
    /// Standard input and output are one connection, and a server serves many.
    #[error("cannot export standard input and output: name a socket")]
    Stdio,
    /// A Unix socket without a name, or with one that is no text.
    #[error("cannot export a Unix socket without a name: bind it to a path")]
    Unnamed,
}

impl From<io::Error> for ExportError {
    fn from(why: io::Error) -> Self {
        Self::Io(Arc::new(why))
    }
}

/// Says what goes with each offer: one-time passwords, for example.
///
/// Functions that return such a future are generators, too:
///
/// ```
/// use tubes::{Command, Parameters, StreamTubeServer, TubeRequest, Value};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = StreamTubeServer::builder().services_for_contacts(["x-chess"]).build();
/// let generator = |request: TubeRequest| async move {
///     let mut parameters = Parameters::default();
///     parameters.insert("game", Value::Str(format!("{}", request.id)))?;
///     Ok::<_, tubes::ParameterError>(parameters)
/// };
/// server.export_with(&Command::shell("gnuchess"), generator)?;
/// assert!(server.exported_parameters().iter().next().is_none());
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait ParametersGenerator: Send + Sync + 'static {
    /// The parameters for this tube, or why it is not to be offered. Nothing waits for it but this
    /// tube; who asked for it may give up meanwhile, which drops the future. It runs as a part of
    /// `offer`, and a panic is one there.
    async fn parameters(
        &self,
        request: &TubeRequest,
    ) -> Result<Parameters, Box<dyn Error + Send + Sync>>;
}

#[async_trait]
impl<F, R, E> ParametersGenerator for F
where
    F: Fn(TubeRequest) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Parameters, E>> + Send,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    async fn parameters(
        &self,
        request: &TubeRequest,
    ) -> Result<Parameters, Box<dyn Error + Send + Sync>> {
        self(request.clone()).await.map_err(Into::into)
    }
}

/// What is exported, and what is said of it.
#[derive(Clone, Debug)]
pub(super) struct Exported {
    pub(super) export: Export,
    pub(super) bootstrap: Bootstrap,
}

/// Where the parameters of an offer come from.
#[derive(Clone)]
pub(super) enum Bootstrap {
    Fixed(Parameters),
    Generated(Arc<dyn ParametersGenerator>),
}

impl Bootstrap {
    /// Those that go with every offer.
    pub(super) fn fixed(&self) -> Parameters {
        match self {
            Self::Fixed(parameters) => parameters.clone(),
            Self::Generated(_) => Parameters::default(),
        }
    }

    /// Those that go with this one.
    pub(super) async fn of(
        &self,
        request: &TubeRequest,
    ) -> Result<Parameters, Box<dyn Error + Send + Sync>> {
        match self {
            Self::Fixed(parameters) => Ok(parameters.clone()),
            Self::Generated(generator) => generator.parameters(request).await,
        }
    }
}

impl fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // They may be secret.
        f.write_str(match self {
            Self::Fixed(_) => "Fixed",
            Self::Generated(_) => "Generated",
        })
    }
}

/// The name in the abstract namespace, which only Linux has.
#[cfg(target_os = "linux")]
fn abstract_name(address: &unix::SocketAddr) -> Option<&[u8]> {
    std::os::linux::net::SocketAddrExt::as_abstract_name(address)
}

#[cfg(not(target_os = "linux"))]
fn abstract_name(_: &unix::SocketAddr) -> Option<&[u8]> {
    None
}
