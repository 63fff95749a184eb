//! The inside of a server.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tubes_actors::state::Phase;
use xmpp_parsers::jid::BareJid;

use super::event::{RequestId, ServeError, ServerEvent, TubeRequest};
use super::export::Exported;
use crate::stream_tube::{Keeper, Office, Scope};
use crate::{Audience, Offer, Rules, StreamTube, Tubes};

/// What a server has in hand.
#[derive(Debug)]
pub(super) struct Serving {
    exported: Mutex<Option<Exported>>,
    office: Office<ServerEvent>,
}

impl Keeper for Serving {
    type Event = ServerEvent;

    fn office(&self) -> &Office<ServerEvent> {
        &self.office
    }
}

impl Serving {
    pub(super) fn new(scope: Scope) -> Self {
        Self {
            exported: Mutex::default(),
            office: Office::new(scope),
        }
    }

    pub(super) fn export(&self, export: Exported) {
        *locked(&self.exported) = Some(export);
    }

    pub(super) fn exported(&self) -> Option<Exported> {
        locked(&self.exported).clone()
    }

    pub(super) async fn offer(
        self: &Arc<Self>,
        account: &BareJid,
        audience: Audience,
        service: &str,
    ) -> Result<StreamTube, ServeError> {
        let export = self.ready(account, &audience, service).await?;
        let request = TubeRequest {
            id: RequestId::new(),
            account: account.clone(),
            audience,
            service: service.to_owned(),
        };
        self.office.desk().announce(ServerEvent::TubeRequested {
            request: request.clone(),
        });
        let pending = Pending {
            serving: Arc::clone(self),
            request,
            error: Some(ServeError::Abandoned),
        };
        pending.carry_out(export).await
    }

    /// What is exported, if the tube can be requested at all.
    async fn ready(
        &self,
        account: &BareJid,
        audience: &Audience,
        service: &str,
    ) -> Result<Exported, ServeError> {
        if self.office.desk().is_closed() {
            return Err(ServeError::Closed);
        }
        let Some((tubes, _)) = self.office.accounts().find(account) else {
            return Err(ServeError::UnknownAccount(account.clone()));
        };
        self.permit(&tubes, audience, service).await?;
        self.exported().ok_or(ServeError::NothingExported)
    }

    async fn permit(
        &self,
        tubes: &Tubes,
        audience: &Audience,
        service: &str,
    ) -> Result<(), ServeError> {
        let rules = self.office.rules();
        if rules.permit_now(tubes, audience, service).await {
            return Ok(());
        }
        Err(ServeError::Forbidden {
            audience: audience.clone(),
            service: service.to_owned(),
        })
    }

    pub(super) async fn set_rules(&self, rules: Rules) {
        self.office.set_rules(rules.clone());
        // What is being offered right now was permitted before, and is seen only when it is there.
        for account in self.office.accounts().jids() {
            self.office.accounts().settled(&account).await;
        }
        let mut closing = Vec::new();
        for tube in self.office.desk().state().tubes.into_values() {
            let Some((tubes, runtime)) = self.office.accounts().find(&tube.account) else {
                continue;
            };
            if !rules
                .permit_now(&tubes, &tube.audience, &tube.service)
                .await
            {
                closing.push(runtime.spawn(async move { tubes.close(tube.id).await }));
            }
        }
        for closed in closing {
            // A runtime that is gone took the tube along.
            let _ = closed.await;
        }
    }

    /// Offers the tube, and takes it in hand before anything is heard of it.
    async fn begin(
        self: Arc<Self>,
        request: TubeRequest,
        offer: Offer,
    ) -> Result<StreamTube, ServeError> {
        let unknown = || ServeError::UnknownAccount(request.account.clone());
        let hold = self.office.accounts().hold(&request.account).await;
        let hold = hold.ok_or_else(unknown)?;
        // The rules may have changed while the parameters were asked for.
        let permitted = self.permit(&hold.tubes, &request.audience, &request.service);
        permitted.await?;
        let address = offer.export.address().cloned();
        let offered = hold.tubes.offer(offer).await;
        let id = offered.map_err(|why| ServeError::Offer(Arc::new(why)))?;
        let tube = StreamTube {
            account: request.account,
            id,
            audience: request.audience,
            service: request.service,
            address,
            phase: Phase::Offered,
        };
        let event = ServerEvent::TubeOffered {
            request: request.id,
            tube: tube.clone(),
        };
        if self.office.desk().begin(tube.clone(), event).is_none() {
            hold.tubes.close(id).await;
            return Err(ServeError::Closed);
        }
        Ok(tube)
    }
}

/// A tube that was requested and is not offered yet. Whatever becomes of it is announced.
struct Pending {
    serving: Arc<Serving>,
    request: TubeRequest,
    /// Why it is not offered, if this is the end; none once it is.
    error: Option<ServeError>,
}

impl Pending {
    async fn carry_out(mut self, exported: Exported) -> Result<StreamTube, ServeError> {
        let offer = match self.describe(exported).await {
            Ok(offer) => offer,
            Err(error) => return Err(self.fail(error)),
        };
        let account = &self.request.account;
        let Some((_, runtime)) = self.serving.office.accounts().find(account) else {
            let error = ServeError::UnknownAccount(account.clone());
            return Err(self.fail(error));
        };
        // From here on it is offered even if nobody waits for it any more.
        let offering = runtime.spawn(async move {
            let serving = Arc::clone(&self.serving);
            match serving.begin(self.request.clone(), offer).await {
                Ok(tube) => Ok(self.done(tube)),
                Err(error) => Err(self.fail(error)),
            }
        });
        let offered = offering.await;
        offered.unwrap_or(Err(ServeError::Abandoned))
    }

    async fn describe(&self, exported: Exported) -> Result<Offer, ServeError> {
        let TubeRequest {
            audience, service, ..
        } = &self.request;
        let offer = Offer::of(audience.clone(), service, exported.export);
        let parameters = exported.bootstrap.of(&self.request).await;
        let parameters = parameters.map_err(|why| ServeError::Generator(why.into()))?;
        Ok(offer.with_parameters(parameters))
    }

    /// Nothing is left to announce: that it is offered was announced when it was begun.
    fn done(&mut self, tube: StreamTube) -> StreamTube {
        self.error = None;
        tube
    }

    fn fail(&mut self, error: ServeError) -> ServeError {
        self.error = Some(error.clone());
        error
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(error) = self.error.take() {
            let request = self.request.clone();
            let refused = ServerEvent::TubeRefused { request, error };
            self.serving.office.desk().announce(refused);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
