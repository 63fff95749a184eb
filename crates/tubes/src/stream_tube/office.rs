//! What a server and a client share: the services they are for, a desk, and accounts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tubes_actors::TubeId;
use xmpp_parsers::jid::BareJid;

use super::scope::{Scope, Services};
use super::{Accounts, Announced, Desk, Keeper, accounts};
use crate::{AddError, Audience, Feed, Monitoring, Rules, StreamTube, StreamTubes, Tubes};

/// What every keeper of tubes has.
#[derive(Debug)]
pub(crate) struct Office<E> {
    services: Services,
    rules: Mutex<Rules>,
    desk: Desk<E>,
    accounts: Accounts,
}

impl<E: Announced> Office<E> {
    pub(crate) fn new(scope: Scope) -> Self {
        let (services, monitoring, rules) = scope.into_parts();
        Self {
            services,
            rules: Mutex::new(rules),
            desk: Desk::new(monitoring),
            accounts: Accounts::default(),
        }
    }

    pub(crate) fn desk(&self) -> &Desk<E> {
        &self.desk
    }

    pub(crate) fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    pub(crate) fn handles(&self, audience: &Audience, service: &str) -> bool {
        self.services.have(audience, service)
    }

    pub(crate) fn rules(&self) -> Rules {
        self.locked_rules().clone()
    }

    pub(crate) fn set_rules(&self, rules: Rules) {
        *self.locked_rules() = rules;
    }

    fn locked_rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes a tube in hand. Returns when it is gone.
    async fn close_tube(&self, tube: TubeId) {
        let Some(tube) = self.desk.state().tubes.remove(&tube) else {
            return;
        };
        if let Some((tubes, _)) = self.accounts.find(&tube.account) {
            tubes.close(tube.id).await;
        }
    }
}

/// What the application holds of a keeper: its clones share one, and the last that is dropped closes
/// the tubes.
#[derive(Debug)]
pub(crate) struct Front<K: Keeper>(Arc<K>);

impl<K: Keeper> Front<K> {
    pub(crate) fn new(keeper: K) -> Arc<Self> {
        Arc::new(Self(Arc::new(keeper)))
    }

    pub(crate) fn keeper(&self) -> &Arc<K> {
        &self.0
    }

    pub(crate) async fn add(&self, tubes: &Tubes) -> Result<BareJid, AddError> {
        accounts::add(&self.0, tubes).await
    }

    pub(crate) async fn remove(&self, account: &BareJid) -> Option<Tubes> {
        accounts::remove(&self.0, account).await
    }

    pub(crate) fn accounts(&self) -> Vec<BareJid> {
        self.office().accounts.jids()
    }

    pub(crate) fn handles(&self, audience: &Audience, service: &str) -> bool {
        self.office().handles(audience, service)
    }

    pub(crate) fn monitoring(&self) -> Monitoring {
        self.office().desk.monitoring()
    }

    pub(crate) fn watch(&self) -> (StreamTubes, Feed<K::Event>) {
        self.office().desk.watch()
    }

    pub(crate) fn state(&self) -> StreamTubes {
        self.office().desk.state()
    }

    pub(crate) fn tubes(&self) -> Vec<StreamTube> {
        self.state().tubes.into_values().collect()
    }

    pub(crate) async fn close_tube(&self, tube: TubeId) {
        self.office().close_tube(tube).await;
    }

    pub(crate) async fn close(&self) {
        accounts::close(&self.0).await;
    }

    fn office(&self) -> &Office<K::Event> {
        self.0.office()
    }
}

impl<K: Keeper> Drop for Front<K> {
    fn drop(&mut self) {
        accounts::spawn_close(&self.0);
    }
}
