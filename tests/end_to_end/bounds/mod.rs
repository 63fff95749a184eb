//! What others can make an account hold has a bound that nobody sets. Who goes beyond is named (where somebody did), a tube that
//! works goes on working, and what was held is given back.

mod answers;
mod capabilities;
mod occupants;
mod roster;
mod unread;

use tubes::{Jid, Limit};
use tubes_server::Server;

use crate::limits::reached;
use crate::stage::{
    Family, Person, Service, Serving, Shared, befriended, echo, exchange, patiently, share_between,
};

/// Alice, who shares an echo with Fernand. Others will want too much of her.
struct Scene {
    shared: Shared,
    _echo: Serving,
}

impl Scene {
    async fn set(server: &Server) -> Self {
        Self::of(server, Person::lenient(server, "alice").await).await
    }

    async fn of(server: &Server, alice: Person) -> Self {
        let fernand = Person::on(server, "fernand").await;
        let (alice, fernand) = befriended(alice, fernand).await;
        let echo = Service::listen(Family::Tcp).await.unwrap().serve(echo);
        let shared = share_between(alice, fernand, &echo.address, Family::Tcp).await;
        Self {
            shared,
            _echo: echo,
        }
    }

    fn alice(&mut self) -> &mut Person {
        &mut self.shared.alice
    }

    /// Alice is told that somebody has wanted too much, and Fernand does not notice.
    async fn exceeded(&mut self, limit: Limit, by: impl Into<Jid>) {
        assert_eq!(reached(self.alice()).await, (limit, Some(by.into())));
        self.works().await;
    }

    /// Fernand's programs are served.
    async fn works(&self) {
        patiently("the tube works", exchange(&self.shared.address))
            .await
            .unwrap();
    }

    async fn leave(self) {
        self.shared.leave().await;
    }
}
