//! A desktop shared with a contact: a VNC server at the one end, a viewer at the other.
//!
//! `cargo run --example desktop -- share alice@example.org fernand@example.net` starts a desktop and
//! offers it; `cargo run --example desktop -- view fernand@example.net alice@example.org` shows it. The
//! account's password is in the environment variable `PASSWORD`. VNC itself needs none: the tube is
//! for that contact alone, and encrypted, and both of its ends are closed to other users.

use std::env;
use std::error::Error;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tubes::{Access, Account, Address, BareJid, Event, Events, Offer, Parameters, Tubes, Value};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let [role @ ("share" | "view"), account, contact] = args[..] else {
        return Err("usage: desktop share|view ACCOUNT CONTACT".into());
    };
    let account = Account::new(account.parse()?, env::var("PASSWORD")?)?;
    let contact = contact.parse()?;
    let (tubes, events) = Tubes::builder(account).start().await?;
    tubes.befriend(&contact).await;
    tokio::select! {
        ended = share(&tubes, contact.clone()), if role == "share" => ended?,
        ended = view(&tubes, events, contact, Command::new(VIEWER)), if role == "view" => ended?,
        _ = tokio::signal::ctrl_c() => {}
    }
    tubes.leave().await;
    Ok(())
}

/// Shares a desktop for as long as its server runs.
async fn share(tubes: &Tubes, contact: BareJid) -> Result<(), Box<dyn Error>> {
    let mut desktop = Desktop::start().await?;
    println!("DISPLAY={} is shared with {contact}", desktop.display);
    tubes.offer(offer(contact, &desktop)?).await?;
    let ended = desktop.server.wait().await?;
    Err(format!("{SERVER} ended: {ended}").into())
}

/// Shows the contact's desktop until the viewer is closed.
pub(crate) async fn view(
    tubes: &Tubes,
    mut events: Events,
    contact: BareJid,
    mut viewer: Command,
) -> Result<(), Box<dyn Error>> {
    let folder = TempDir::new()?;
    let socket = folder.path().join("vnc");
    while let Some(event) = events.next().await {
        if let Event::TubeOffered {
            tube,
            peer,
            service,
            parameters,
            ..
        } = event
            && peer.to_bare() == contact
            && service == SERVICE
            && let Some(Value::Str(geometry)) = parameters.get("geometry")
        {
            println!("{peer} shares a desktop of {geometry}");
            let listening = tubes.accept(tube, Address::unix(&socket)?, Access::Localhost);
            listening.await?;
            // It shall not ask for a password, and tell it.
            viewer.args(["-SecurityTypes", "None"]).arg(&socket);
            let viewing = viewer.kill_on_drop(true).status().await;
            viewing.map_err(|why| cannot_start(VIEWER, "tigervnc-viewer", &why))?;
            return Ok(());
        }
    }
    Err("the account is offline for good".into())
}

/// What the contact is offered, and told of it.
pub(crate) fn offer(contact: BareJid, desktop: &Desktop) -> Result<Offer, Box<dyn Error>> {
    let mut parameters = Parameters::default();
    parameters.insert("geometry", Value::Str(GEOMETRY.to_owned()))?;
    let offer = Offer::new(contact, SERVICE, desktop.address.clone());
    Ok(offer.with_parameters(parameters))
}

/// A display for programs that is seen by those who connect to an address, with a viewer.
pub(crate) struct Desktop {
    pub(crate) display: String,
    pub(crate) address: Address,
    server: Child,
    _folder: TempDir,
}

impl Desktop {
    pub(crate) async fn start() -> Result<Self, Box<dyn Error>> {
        let folder = TempDir::new()?;
        let socket = folder.path().join("vnc");
        let mut server = Command::new(SERVER)
            .args(["-displayfd", "1", "-noreset", "-geometry", GEOMETRY])
            .args(["-SecurityTypes", "None", "-rfbport", "-1", "-rfbunixpath"])
            .arg(&socket)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|why| cannot_start(SERVER, "tigervnc-standalone-server", &why))?;
        let said = server.stdout.take().ok_or("it has no standard output")?;
        let mut desktop = Self {
            display: String::new(),
            address: Address::unix(socket)?,
            server,
            _folder: folder,
        };
        // It says its number as soon as it can be connected to.
        let mut number = String::new();
        BufReader::new(said).read_line(&mut number).await?;
        let number = number.trim().parse::<u16>();
        let number = number.map_err(|_| format!("{SERVER} ended: start it by hand to see why"))?;
        desktop.display = format!(":{number}");
        Ok(desktop)
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        // Killed, it would leave the files of its display behind.
        let pid = self.server.id().map_or(0, u32::cast_signed);
        let _ = Pid::from_raw(pid).map(|pid| kill_process(pid, Signal::TERM));
    }
}

fn cannot_start(program: &str, package: &str, why: &dyn Error) -> String {
    format!("cannot start {program}: {why}; on Debian it is in the package {package}")
}

/// What desktops are called in tubes, after the protocol of VNC.
const SERVICE: &str = "rfb";

/// An X server that is a VNC server, too.
const SERVER: &str = "Xtigervnc";

/// A VNC viewer that takes Unix sockets.
pub(crate) const VIEWER: &str = "xtigervncviewer";

/// The desktop's size.
pub(crate) const GEOMETRY: &str = "1024x768";
