//! Rooms: who comes in, who is put out, and what the others see of it (XEP-0045).
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[macro_use]
mod client;
mod room;

use client::Client;
use room::{Stage, condition, has, presences, refusal, said, set, tubes};
use tubes_server::ServerKind;
use xmpp_parsers::{
    disco::{DiscoItemsQuery, DiscoItemsResult},
    iq::Iq,
    jid::Jid,
    muc::{
        Muc,
        user::{Affiliation, Role, Status},
    },
    presence::{Presence, Type},
    stanza_error::DefinedCondition,
};

on_every_kind![
    a_newcomer_hears_of_the_others_first_and_of_himself_last,
    a_new_room_is_locked_until_its_owner_opens_it,
    what_occupants_show_is_relayed_and_newcomers_get_the_latest,
    a_nickname_that_is_taken_is_refused,
    a_new_nickname_is_told_with_the_old_one,
    only_moderators_kick,
    who_leaves_is_seen_to_leave,
    who_loses_the_connection_leaves,
    the_right_password_is_needed,
    who_is_banned_is_out_and_stays_out,
    a_destroyed_room_has_nobody_in_it,
    only_moderators_see_who_it_is_unless_the_owner_shows_it_to_all,
    a_presence_from_outside_is_refused,
    who_knocks_twice_is_shown_everybody_again,
    whose_resource_is_taken_leaves,
];

async fn a_newcomer_hears_of_the_others_first_and_of_himself_last(kind: ServerKind) {
    let Some(stage) = Stage::new(kind).await else {
        return;
    };
    let mut alice = stage.online("alice").await;
    let own = stage.enter(&mut alice, "alice").await;
    assert!(has(&own, Status::SelfPresence));
    assert!(has(&own, Status::RoomHasBeenCreated));
    let [item] = &said(&own).items[..] else {
        panic!("not one item: {own:?}");
    };
    assert_eq!(item.affiliation, Affiliation::Owner);
    assert_eq!(item.role, Role::Moderator);
    stage.configure(&mut alice, &[]).await;

    let mut fernand = stage.online("fernand").await;
    fernand.all_so_far().await;
    fernand.send(stage.knock("fernand")).await;
    // ejabberd's rooms have a presence of their own, which comes first of all and says what
    // software they are.
    let of_occupant = |p: &Presence| p.from.as_ref().is_some_and(Jid::is_full);
    let first = fernand.presence(of_occupant).await;
    assert_eq!(first.from.as_ref(), Some(&stage.occupant("alice").into()));
    assert!(!has(&first, Status::SelfPresence));
    let second = fernand.presence(of_occupant).await;
    assert_eq!(second.from, Some(stage.occupant("fernand").into()));
    assert_eq!(second.to, Some(fernand.jid.clone().into()));
    assert!(has(&second, Status::SelfPresence));
    assert!(!has(&second, Status::RoomHasBeenCreated));
    let heard = stage.sees(&mut alice, "fernand", &Type::None).await;
    assert!(!has(&heard, Status::SelfPresence));
    assert_eq!(said(&heard).items[0].role, Role::Participant);
}

async fn a_new_room_is_locked_until_its_owner_opens_it(kind: ServerKind) {
    let Some(stage) = Stage::new(kind).await else {
        return;
    };
    let mut alice = stage.online("alice").await;
    stage.enter(&mut alice, "alice").await;
    let mut fernand = stage.online("fernand").await;
    if kind != ServerKind::Ejabberd {
        // ejabberd locks nothing: a room is open from the first moment.
        fernand.send(stage.knock("fernand")).await;
        let why = refusal(&stage, &mut fernand).await;
        assert_eq!(why, DefinedCondition::ItemNotFound);
    }
    stage.configure(&mut alice, &[]).await;
    stage.enter(&mut fernand, "fernand").await;
}

async fn what_occupants_show_is_relayed_and_newcomers_get_the_latest(kind: ServerKind) {
    let Some(stage) = Stage::new(kind).await else {
        return;
    };
    let mut alice = stage.online("alice").await;
    let mut knock = stage.knock("alice");
    knock.payloads.push(tubes(1));
    alice.send(knock).await;
    let own = stage.sees(&mut alice, "alice", &Type::None).await;
    assert!(own.payloads.contains(&tubes(1)), "{own:?}");
    stage.configure(&mut alice, &[]).await;

    let mut fernand = stage.online("fernand").await;
    stage.enter(&mut fernand, "fernand").await;
    let seen = stage.sees(&mut fernand, "alice", &Type::None).await;
    assert!(seen.payloads.contains(&tubes(1)), "{seen:?}");

    let mut later = Presence::available().with_to(stage.occupant("alice"));
    later.payloads.push(tubes(2));
    alice.send(later).await;
    let own = stage.sees(&mut alice, "alice", &Type::None).await;
    assert!(has(&own, Status::SelfPresence), "{own:?}");
    let seen = stage.sees(&mut fernand, "alice", &Type::None).await;
    for presence in [own, seen] {
        assert!(presence.payloads.contains(&tubes(2)), "{presence:?}");
        assert!(!presence.payloads.contains(&tubes(1)), "{presence:?}");
    }

    let mut carol = stage.online("carol").await;
    stage.enter(&mut carol, "carol").await;
    let seen = stage.sees(&mut carol, "alice", &Type::None).await;
    assert!(seen.payloads.contains(&tubes(2)), "{seen:?}");
}

async fn a_nickname_that_is_taken_is_refused(kind: ServerKind) {
    let Some((stage, _alice, mut fernand)) = Stage::with_two(kind).await else {
        return;
    };
    let mut carol = stage.online("carol").await;
    carol.send(stage.knock("alice")).await;
    let why = refusal(&stage, &mut carol).await;
    assert_eq!(why, DefinedCondition::Conflict);
    // Nor is it given to somebody who has another one.
    let wanted = Presence::available().with_to(stage.occupant("alice"));
    fernand.send(wanted).await;
    let why = refusal(&stage, &mut fernand).await;
    assert_eq!(why, DefinedCondition::Conflict);
    assert!(matches!(
        stage.ping(&mut fernand, "fernand").await,
        Iq::Result { .. }
    ));
}

async fn a_new_nickname_is_told_with_the_old_one(kind: ServerKind) {
    let Some((stage, mut alice, mut fernand)) = Stage::with_two(kind).await else {
        return;
    };
    let renamed = Presence::available().with_to(stage.occupant("ferdinand"));
    fernand.send(renamed).await;
    for (who, is_own) in [(&mut fernand, true), (&mut alice, false)] {
        let gone = stage.sees(who, "fernand", &Type::Unavailable).await;
        assert!(has(&gone, Status::NewNick), "{gone:?}");
        assert_eq!(has(&gone, Status::SelfPresence), is_own, "{gone:?}");
        assert_eq!(said(&gone).items[0].nick.as_deref(), Some("ferdinand"));
        let come = stage.sees(who, "ferdinand", &Type::None).await;
        assert_eq!(has(&come, Status::SelfPresence), is_own, "{come:?}");
    }
}

async fn only_moderators_kick(kind: ServerKind) {
    let Some((stage, mut alice, mut fernand)) = Stage::with_two(kind).await else {
        return;
    };
    let answer = stage
        .administer(&mut fernand, "<item nick='alice' role='none'/>")
        .await;
    let refused = [DefinedCondition::Forbidden, DefinedCondition::NotAllowed];
    assert!(refused.contains(&condition(&answer)), "{answer:?}");
    let order = "<item nick='fernand' role='none'><reason>too loud</reason></item>";
    let answer = stage.administer(&mut alice, order).await;
    assert!(matches!(answer, Iq::Result { .. }), "{answer:?}");
    for (who, is_own) in [(&mut fernand, true), (&mut alice, false)] {
        let gone = stage.sees(who, "fernand", &Type::Unavailable).await;
        assert!(has(&gone, Status::Kicked), "{gone:?}");
        assert_eq!(has(&gone, Status::SelfPresence), is_own, "{gone:?}");
        let item = said(&gone).items.remove(0);
        assert_eq!(item.role, Role::None);
        assert_eq!(item.reason.unwrap().0, "too loud");
    }
    // He may come back.
    stage.enter(&mut fernand, "fernand").await;
}

async fn who_leaves_is_seen_to_leave(kind: ServerKind) {
    let Some((stage, mut alice, mut fernand)) = Stage::with_two(kind).await else {
        return;
    };
    let gone = Presence::unavailable().with_to(stage.occupant("fernand"));
    fernand.send(gone).await;
    let own = stage
        .sees(&mut fernand, "fernand", &Type::Unavailable)
        .await;
    assert!(has(&own, Status::SelfPresence), "{own:?}");
    let seen = stage.sees(&mut alice, "fernand", &Type::Unavailable).await;
    assert_eq!(said(&seen).items[0].role, Role::None);
}

async fn who_loses_the_connection_leaves(kind: ServerKind) {
    let Some((stage, mut alice, fernand)) = Stage::with_two(kind).await else {
        return;
    };
    fernand.cut();
    let seen = stage.sees(&mut alice, "fernand", &Type::Unavailable).await;
    assert!(!has(&seen, Status::SelfPresence), "{seen:?}");
}

async fn the_right_password_is_needed(kind: ServerKind) {
    let Some(stage) = Stage::new(kind).await else {
        return;
    };
    let mut alice = stage.host("alice").await;
    let fields = [
        ("muc#roomconfig_passwordprotectedroom", "1"),
        ("muc#roomconfig_roomsecret", "sesame"),
    ];
    stage.configure(&mut alice, &fields).await;
    let mut fernand = stage.online("fernand").await;
    for wrong in [Muc::new(), Muc::new().with_password("simsim".to_owned())] {
        let knock = Presence::available().with_to(stage.occupant("fernand"));
        fernand.send(knock.with_payload(wrong)).await;
        let why = refusal(&stage, &mut fernand).await;
        assert_eq!(why, DefinedCondition::NotAuthorized);
    }
    let knock = Presence::available().with_to(stage.occupant("fernand"));
    let right = Muc::new().with_password("sesame".to_owned());
    fernand.send(knock.with_payload(right)).await;
    let own = stage.sees(&mut fernand, "fernand", &Type::None).await;
    assert!(has(&own, Status::SelfPresence));
    // It is no secret of the room's who may come in, but the word is.
    let seen = stage.sees(&mut alice, "fernand", &Type::None).await;
    assert!(!format!("{seen:?}").contains("sesame"), "{seen:?}");
}

async fn who_is_banned_is_out_and_stays_out(kind: ServerKind) {
    let Some((stage, mut alice, mut fernand)) = Stage::with_two(kind).await else {
        return;
    };
    let order = format!(
        "<item affiliation='outcast' jid='{}'/>",
        fernand.jid.to_bare()
    );
    let answer = stage.administer(&mut fernand, &order).await;
    let refused = [DefinedCondition::Forbidden, DefinedCondition::NotAllowed];
    assert!(refused.contains(&condition(&answer)), "{answer:?}");
    let answer = stage.administer(&mut alice, &order).await;
    assert!(matches!(answer, Iq::Result { .. }), "{answer:?}");
    for who in [&mut fernand, &mut alice] {
        let gone = stage.sees(who, "fernand", &Type::Unavailable).await;
        assert!(has(&gone, Status::Banned), "{gone:?}");
        assert_eq!(said(&gone).items[0].affiliation, Affiliation::Outcast);
    }
    fernand.send(stage.knock("fernand")).await;
    let why = refusal(&stage, &mut fernand).await;
    assert_eq!(why, DefinedCondition::Forbidden);
}

async fn a_destroyed_room_has_nobody_in_it(kind: ServerKind) {
    let Some((stage, mut alice, mut fernand)) = Stage::with_two(kind).await else {
        return;
    };
    let order = "<query xmlns='http://jabber.org/protocol/muc#owner'>\
                 <destroy><reason>enough</reason></destroy></query>";
    let room = stage.room.clone().into();
    let answer = fernand.ask(set(&room, order)).await;
    let refused = [DefinedCondition::Forbidden, DefinedCondition::NotAllowed];
    assert!(refused.contains(&condition(&answer)), "{answer:?}");
    let answer = alice.ask(set(&room, order)).await;
    assert!(matches!(answer, Iq::Result { .. }), "{answer:?}");
    for (who, nick) in [(&mut alice, "alice"), (&mut fernand, "fernand")] {
        let gone = stage.sees(who, nick, &Type::Unavailable).await;
        let payloads = gone.payloads.iter();
        let destroyed = payloads
            .filter_map(|payload| payload.get_child("destroy", payload.ns().as_str()))
            .any(|destroy| destroy.children().any(|child| child.text() == "enough"));
        assert!(destroyed, "{gone:?}");
        // ejabberd has forgotten by then who was who.
        let is_own = has(&gone, Status::SelfPresence);
        assert_eq!(is_own, kind != ServerKind::Ejabberd, "{gone:?}");
    }
    // While a room of ejabberd's ends it swallows what it is sent, and answers nothing.
    while is_listed(&stage, &mut fernand).await {}
    // XEP-0410 means something else by it, but that is what the three say of a room that is not.
    let answer = stage.ping(&mut fernand, "fernand").await;
    assert_eq!(condition(&answer), DefinedCondition::ItemNotFound);
    fernand.all_so_far().await;
    // Only of rooms that were to last Prosody remembers that they were destroyed.
    let own = stage.enter(&mut fernand, "fernand").await;
    assert!(has(&own, Status::RoomHasBeenCreated), "{own:?}");
}

/// Whether the service still knows the room.
async fn is_listed(stage: &Stage, who: &mut Client) -> bool {
    let items = DiscoItemsQuery {
        node: None,
        rsm: None,
    };
    let items = Iq::from_get("rooms", items).with_to(stage.server.rooms().clone().into());
    let Iq::Result { payload, .. } = who.ask(items).await else {
        panic!("no list of rooms");
    };
    let rooms = DiscoItemsResult::try_from(payload.unwrap()).unwrap();
    rooms.items.iter().any(|item| item.jid == stage.room)
}

async fn only_moderators_see_who_it_is_unless_the_owner_shows_it_to_all(kind: ServerKind) {
    let Some((stage, mut alice, mut fernand)) = Stage::with_two(kind).await else {
        return;
    };
    let jid = |presence: &Presence| said(presence).items.remove(0).jid;
    let seen = stage.sees(&mut fernand, "alice", &Type::None).await;
    assert_eq!(jid(&seen), None);
    let mut carol = stage.online("carol").await;
    stage.enter(&mut carol, "carol").await;
    let seen = stage.sees(&mut alice, "carol", &Type::None).await;
    assert_eq!(jid(&seen), Some(carol.jid.clone()));
    let seen = stage.sees(&mut fernand, "carol", &Type::None).await;
    assert_eq!(jid(&seen), None);

    let fields = [("muc#roomconfig_whois", "anyone")];
    stage.configure(&mut alice, &fields).await;
    let gone = Presence::unavailable().with_to(stage.occupant("carol"));
    carol.send(gone).await;
    stage.sees(&mut carol, "carol", &Type::Unavailable).await;
    carol.all_so_far().await;
    let own = stage.enter(&mut carol, "carol").await;
    assert!(has(&own, Status::NonAnonymousRoom), "{own:?}");
    let seen = stage.sees(&mut carol, "alice", &Type::None).await;
    assert_eq!(jid(&seen), Some(alice.jid.clone()));
    let seen = stage.sees(&mut fernand, "carol", &Type::None).await;
    assert_eq!(jid(&seen), Some(carol.jid.clone()));
}

async fn a_presence_from_outside_is_refused(kind: ServerKind) {
    let Some((stage, _alice, mut fernand)) = Stage::with_two(kind).await else {
        return;
    };
    let mut carol = stage.online("carol").await;
    let presence = Presence::available().with_to(stage.occupant("carol"));
    carol.send(presence).await;
    if kind == ServerKind::Ejabberd {
        // There it brings her in, as it did before XEP-0045.
        let own = stage.sees(&mut carol, "carol", &Type::None).await;
        assert!(has(&own, Status::SelfPresence), "{own:?}");
        return;
    }
    let why = refusal(&stage, &mut carol).await;
    assert_eq!(why, DefinedCondition::ItemNotFound);
    let so_far = fernand.all_so_far().await;
    let seat = stage.occupant("carol").into();
    let of_carol = |presence: &Presence| presence.from.as_ref() == Some(&seat);
    assert!(!presences(so_far).iter().any(of_carol));
}

async fn who_knocks_twice_is_shown_everybody_again(kind: ServerKind) {
    let Some((stage, _alice, mut fernand)) = Stage::with_two(kind).await else {
        return;
    };
    fernand.all_so_far().await;
    let own = stage.enter(&mut fernand, "fernand").await;
    assert!(has(&own, Status::SelfPresence), "{own:?}");
    stage.sees(&mut fernand, "alice", &Type::None).await;
}

async fn whose_resource_is_taken_leaves(kind: ServerKind) {
    let Some(stage) = Stage::new(kind).await else {
        return;
    };
    let mut alice = stage.host("alice").await;
    let account = stage.server.fresh_account("fernand").await.unwrap();
    let mut fernand = Client::come_online(stage.server, &account, "tubes").await;
    stage.enter(&mut fernand, "fernand").await;
    let mut again = Client::come_online(stage.server, &account, "tubes").await;
    stage.sees(&mut alice, "fernand", &Type::Unavailable).await;
    let answer = stage.ping(&mut again, "fernand").await;
    assert_eq!(condition(&answer), DefinedCondition::NotAcceptable);
    stage.enter(&mut again, "fernand").await;
}
