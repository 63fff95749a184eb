//! What programs of contacts say that they can do.

use tubes::{Event, Limit};
use tubes_protocol::disco::service_feature;
use tubes_protocol::ns;
use tubes_server::ServerKind;
use tubes_session::Resource;

use super::Scene;
use crate::stage::{Outsider, on};

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_whose_programs_can_do_too_much_to_be_remembered_is_named() {
    on(ServerKind::Embedded, |server| async move {
        let mut scene = Scene::set(server).await;
        let account = server.fresh_account("carol").await.unwrap();
        scene.alice().tubes.befriend(&account.jid).await;
        let mut programs = Vec::new();
        // What one of them says takes most of what is kept of a contact.
        for program in ["one", "other"] {
            let services = (0..SERVICES).map(|number| format!("{program}-{number:0>240}"));
            let mut features: Vec<_> = services.map(|name| service_feature(&name)).collect();
            features.push(ns::TUBES.to_owned());
            let features: Vec<_> = features.iter().map(String::as_str).collect();
            let carol = Outsider::logged_in(server, &account, &features).await;
            carol.befriend(&scene.alice().jid).await;
            programs.push(carol);
        }
        scene
            .exceeded(Limit::Capabilities, account.jid.clone())
            .await;

        // Nothing but memory is lacking: each is known as long as it is there.
        for _ in &programs {
            let alice = scene.alice();
            alice
                .event(|event| match event {
                    Event::PeerOnline { peer } if peer.to_bare() == account.jid => Some(()),
                    _ => None,
                })
                .await;
        }
        let contact = scene.alice().tubes.contact(&account.jid).await.unwrap();
        let services = |resource: &Resource| {
            let abilities = resource.abilities.as_ref();
            abilities.map_or(0, |abilities| abilities.services.len())
        };
        let known: Vec<_> = contact.resources.iter().map(services).collect();
        assert_eq!(known, [SERVICES, SERVICES]);
        for program in programs {
            program.leave().await;
        }
        scene.leave().await;
    })
    .await;
}

/// Services of a program that are looked at.
const SERVICES: usize = 256;
