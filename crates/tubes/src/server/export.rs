//! What a server exports, and what it tells of it with each offer.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use tubes_local::Export;
use tubes_protocol::tube::Parameters;
use tubes_transport::async_trait;

use super::TubeRequest;

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
