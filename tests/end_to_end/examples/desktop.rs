//! The desktop, with a real VNC server and a real viewer, which is shown on a second desktop.

use std::env;
use std::process::Stdio;

use tokio::process::Command;
use tubes::{Direction, Event, Value};
use tubes_server::{Server, ServerKind};

use super::screen::Screen;
use crate::stage::{self, Person, pair, patiently};

// The example as it is, so that it cannot promise what does not work.
#[allow(dead_code, reason = "a test has a `main` of its own")]
#[path = "../../../examples/desktop.rs"]
mod example;

use example::Desktop;

macro_rules! on_each_server_with_desktops {
    ($($name:ident: $kind:ident),+) => { $(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            if has_desktops() {
                stage::on(ServerKind::$kind, a_contact_sees_the_desktop_as_it_changes).await;
            }
        }
    )+ };
}

on_each_server_with_desktops!(
    a_contact_sees_the_desktop_through_the_embedded_server: Embedded,
    a_contact_sees_the_desktop_through_prosody: Prosody,
    a_contact_sees_the_desktop_through_ejabberd: Ejabberd
);

async fn a_contact_sees_the_desktop_as_it_changes(server: &Server) {
    let (alice, mut fernand) = pair(server).await;
    let events = fernand.tubes.events();
    let shared = started().await;
    let colours = [[0x12, 0xab, 0x34], [0xfe, 0x5d, 0x01]];
    paint(&shared, colours[0]).await;
    // What the viewer shows is seen here; by itself it has no such colours.
    let viewers = started().await;
    let mut screen = Screen::of(&viewers.address).await;
    assert_eq!(colours.map(|colour| screen.pixels_of(colour)), [0, 0]);

    let offer = example::offer(fernand.jid.clone(), &shared).unwrap();
    alice.tubes.offer(offer).await.unwrap();
    let mut viewer = Command::new(example::VIEWER);
    viewer.env("DISPLAY", &viewers.display);
    viewer.stdout(Stdio::null()).stderr(Stdio::null());
    let viewing = example::view(&fernand.tubes, events, alice.jid.clone(), viewer);
    let seeing = async {
        for colour in colours {
            paint(&shared, colour).await;
            let seen = screen.shows(colour);
            patiently("the viewer shows the colour", seen).await;
        }
    };
    tokio::select! {
        ended = viewing => panic!("the viewer ended: {ended:?}"),
        () = seeing => {}
    }
    assert_eq!(told_geometry(&mut fernand).await, example::GEOMETRY);

    fernand.leave().await;
    alice.leave().await;
}

/// What was said of the desktop.
async fn told_geometry(person: &mut Person) -> String {
    person
        .event(|event| match event {
            Event::TubeOffered {
                direction: Direction::In,
                parameters,
                ..
            } => match parameters.get("geometry") {
                Some(Value::Str(geometry)) => Some(geometry.clone()),
                _ => None,
            },
            _ => None,
        })
        .await
}

async fn started() -> Desktop {
    let starting = Desktop::start();
    patiently("a desktop starts", starting).await.unwrap()
}

/// Paints all of a desktop.
async fn paint(desktop: &Desktop, [red, green, blue]: [u8; 3]) {
    let colour = format!("#{red:02x}{green:02x}{blue:02x}");
    let painting = Command::new(PAINTER)
        .args(["-display", &desktop.display, "-solid", &colour])
        .output();
    let output = patiently("it is painted", painting).await.unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Whether all programs are there. Where `CI` is set they have to be.
fn has_desktops() -> bool {
    let there = |program: &str| {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path).any(|folder| folder.join(program).is_file())
    };
    let missing = PROGRAMS.iter().filter(|(program, _)| !there(program));
    let missing: Vec<_> = missing.map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return true;
    }
    let why = format!(
        "no desktops here: install the packages {}",
        missing.join(", ")
    );
    assert!(env::var_os("CI").is_none(), "{why}");
    eprintln!("skipped: {why}");
    false
}

/// Paints the background of an X display.
const PAINTER: &str = "xsetroot";

/// What the test needs, and the Debian packages that have it.
const PROGRAMS: [(&str, &str); 3] = [
    ("Xtigervnc", "tigervnc-standalone-server"),
    ("xtigervncviewer", "tigervnc-viewer"),
    (PAINTER, "x11-xserver-utils"),
];
