//! Whoever is killed: repeating the command goes on, and ends with the right bytes.

use super::*;

#[tokio::test]
async fn a_sender_that_was_killed_goes_on_where_it_was() {
    let (alice, fernand, here, there) = party(ServerKind::Embedded).await.unwrap();
    let path = here.path().join("film");
    let film = content(7, FILM);
    fs::write(&path, &film).unwrap();
    let (alice, link) = slowed(alice).await;
    let mut receiving = receive(&fernand, &alice, there.path(), &["--once"]);
    let sending = send(&alice, &fernand.jid, &[&path]);
    part_of(there.path(), PART).await;
    sending.signal(Signal::KILL);
    let_go(&link);
    sending.end().await;
    let mut sending = send(&alice, &fernand.jid, &[&path]);
    let started = sending.event("file_started").await;
    assert!(started["offset"].as_u64().unwrap() >= PART / 2, "{started}");
    assert_eq!(sending.end().await, (Some(0), String::new()));
    let done = receiving.event("file_done").await;
    assert_eq!(done["verified"], true);
    assert_eq!(receiving.end().await, (Some(0), String::new()));
    assert!(fs::read(there.path().join("film")).unwrap() == film);
    // Nothing is left of the part.
    assert_eq!(fs::read_dir(there.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_receiver_that_was_killed_goes_on_where_it_was() {
    let (alice, fernand, here, there) = party(ServerKind::Embedded).await.unwrap();
    let path = here.path().join("film");
    let film = content(8, FILM);
    fs::write(&path, &film).unwrap();
    let (alice, link) = slowed(alice).await;
    let receiving = receive(&fernand, &alice, there.path(), &[]);
    let sending = send(&alice, &fernand.jid, &[&path]);
    part_of(there.path(), PART).await;
    receiving.signal(Signal::KILL);
    receiving.end().await;
    let_go(&link);
    let (code, said) = sending.end().await;
    assert_ne!(code, Some(0), "{said}");
    let _receiving = receive(&fernand, &alice, there.path(), &[]);
    let mut sending = send(&alice, &fernand.jid, &[&path]);
    let started = sending.event("file_started").await;
    assert!(started["offset"].as_u64().unwrap() >= PART / 2, "{started}");
    assert_eq!(sending.end().await, (Some(0), String::new()));
    assert!(fs::read(there.path().join("film")).unwrap() == film);
}

/// Whoever is killed, and when: what arrives in the end is what was sent.
#[tokio::test]
async fn killed_twenty_times_at_any_moment_it_arrives_all_the_same() {
    let (alice, fernand, here, there) = party(ServerKind::Embedded).await.unwrap();
    let (path, arrived) = (here.path().join("film"), there.path().join("film"));
    let film = content(10, FILM);
    fs::write(&path, &film).unwrap();
    let alice = alice.by("ibb");
    let mut moments = content(std::process::id().into(), 20).into_iter();
    let mut receiving = receive(&fernand, &alice, there.path(), &[]);
    for victim in ["sender", "receiver"].iter().cycle().take(20) {
        let sending = send(&alice, &fernand.jid, &[&path]);
        let moment = u64::from(moments.next().unwrap()) * 4;
        sleep(Duration::from_millis(moment)).await;
        if *victim == "sender" {
            sending.signal(Signal::KILL);
        } else {
            receiving.signal(Signal::KILL);
            receiving.end().await;
            receiving = receive(&fernand, &alice, there.path(), &[]);
        }
        sending.end().await;
        if arrived.exists() {
            assert!(
                fs::read(&arrived).unwrap() == film,
                "{victim} after {moment} ms"
            );
            fs::remove_file(&arrived).unwrap();
        }
    }
    let sending = send(&alice, &fernand.jid, &[&path]);
    assert_eq!(sending.end().await, (Some(0), String::new()));
    assert!(fs::read(&arrived).unwrap() == film);
    drop(receiving);
}
