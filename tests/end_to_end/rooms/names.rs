//! Names in rooms, which are no identities.

use tubes_server::Server;

use super::{enter, fresh_room};
use crate::stage::Person;

crate::on_each_server!(a_name_that_is_taken_is_tried_in_other_forms);

async fn a_name_that_is_taken_is_tried_in_other_forms(server: &Server) {
    let room = fresh_room(server);
    let alice = Person::on(server, "alice").await;
    let other = Person::on(server, "fernand").await;
    assert_eq!(
        enter(&alice, &room, "guest").await.resource().as_str(),
        "guest"
    );
    assert_eq!(
        enter(&other, &room, "guest").await.resource().as_str(),
        "guest-2"
    );
    other.leave().await;
    alice.leave().await;
}
