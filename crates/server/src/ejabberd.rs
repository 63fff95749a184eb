//! A throwaway ejabberd (23.01) in a folder of its own.
//!
//! It is started without Erlang's distribution, so that there is no node name to collide, no
//! port mapper (`epmd`) to stay behind and no cookie; accounts are made over its HTTP API.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    net::SocketAddr,
    path::Path,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time,
};
use xmpp_parsers::jid::BareJid;

use crate::{
    AccountError, ServerKind, Setup, StartError,
    ca::Identity,
    kind::find,
    probe::{self, Ports},
    setup::{Encryption, proxy_name, rooms_name},
    supervised::Supervised,
};

/// A running ejabberd.
#[derive(Debug)]
pub(crate) struct Ejabberd {
    ports: Ports<3>,
    /// Where the API is: other users of the machine cannot guess it.
    secret: String,
    domain: String,
    process: Supervised,
}

impl Ejabberd {
    pub(crate) async fn start(
        setup: &Setup,
        domain: &BareJid,
        identity: &Identity,
    ) -> Result<Self, StartError> {
        let kind = ServerKind::Ejabberd;
        let program = find(kind, "erl")?;
        let libraries = libraries(&find(kind, "ejabberdctl")?)
            .map_err(StartError::io("looking for ejabberd's code"))?;
        let secret = format!("{:032x}", rand::random::<u128>());
        let launch = |ports: Ports<3>| {
            let folder = tempfile::Builder::new()
                .prefix("tubes-ejabberd-")
                .tempdir()?;
            write_files(&folder, setup, domain, identity, ports, &secret)?;
            let path = folder.path().to_owned();
            // Erlang reads the value of `dir` as a term: a string in quotes.
            let spool = format!("{:?}", path.join("spool"));
            let arguments = ["-noinput", "-mnesia", "dir", &spool, "-s", "ejabberd"];
            let environment = [
                ("EJABBERD_CONFIG_PATH", path.join(CONFIG).into_os_string()),
                (
                    "EJABBERD_LOG_PATH",
                    path.join("ejabberd.log").into_os_string(),
                ),
                ("ERL_CRASH_DUMP_BYTES", OsString::from("0")),
                ("ERL_LIBS", OsString::from(&libraries)),
            ];
            Supervised::start(
                folder,
                &program,
                &arguments.map(OsStr::new),
                &environment
                    .each_ref()
                    .map(|(name, value)| (*name, value.as_os_str())),
            )
        };
        let (process, ports) = probe::start(kind, setup, domain, &identity.ca, launch).await?;
        Ok(Self {
            ports,
            secret,
            domain: domain.to_string(),
            process,
        })
    }

    pub(crate) fn process(&self) -> &Supervised {
        &self.process
    }

    pub(crate) fn process_mut(&mut self) -> &mut Supervised {
        &mut self.process
    }

    /// Kills it, when what it was told before is on its disk.
    pub(crate) async fn kill(&mut self) -> io::Result<()> {
        if !self.process.has_ended() {
            // It is killed even if it is too busy to write, or to be told anything.
            if !matches!(time::timeout(WRITTEN, self.written()).await, Ok(Ok(()))) {
                time::sleep(UNHURRIED).await;
            }
        }
        self.process.kill().await
    }

    /// Waits until what it is told now is on its disk, and with it all that it was told before: everything
    /// goes through one log, in its order.
    async fn written(&self) -> io::Result<()> {
        let log = self.process.folder().join("spool").join("LATEST.LOG");
        loop {
            let mark = format!("mark-{:032x}", rand::random::<u128>());
            let (status, body) = self.register(&mark, &mark).await?;
            if status != "200" {
                return Err(io::Error::other(format!("{status} {body}")));
            }
            if time::timeout(MARKED, contains(&log, &mark)).await.is_ok() {
                return Ok(());
            }
            // Now and then it begins a new log, and throws the old one away.
        }
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.ports.all()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        let [start_tls, ..] = self.ports.own;
        self.ports.at(start_tls)
    }

    pub(crate) fn direct_tls_address(&self) -> SocketAddr {
        let [_, direct, _] = self.ports.own;
        self.ports.at(direct)
    }

    pub(crate) fn proxy_address(&self) -> Option<SocketAddr> {
        Some(self.ports.at(self.ports.proxy?))
    }

    pub(crate) async fn add_account(
        &self,
        jid: &BareJid,
        name: &str,
        password: &str,
    ) -> Result<(), AccountError> {
        let (status, body) = self.register(name, password).await?;
        match status.as_str() {
            "200" => Ok(()),
            "409" => Err(AccountError::Exists(jid.to_string())),
            _ => Err(AccountError::Refused(format!("{status} {body}"))),
        }
    }

    async fn register(&self, name: &str, password: &str) -> io::Result<(String, String)> {
        let body = serde_json::json!({
            "user": name,
            "host": self.domain,
            "password": password,
        });
        time::timeout(ANSWER, self.call("register", &body.to_string()))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    /// Calls one of the server's commands: HTTP status and body of the answer.
    async fn call(&self, command: &str, body: &str) -> io::Result<(String, String)> {
        let [.., api] = self.ports.own;
        let mut tcp = TcpStream::connect(self.ports.at(api)).await?;
        let request = format!(
            "POST /{}/{command} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.secret,
            body.len(),
        );
        tcp.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        tcp.take(ANSWER_SIZE).read_to_string(&mut answer).await?;
        let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
        let body = answer.split_once("\r\n\r\n").unwrap_or_default().1;
        Ok((status, body.to_owned()))
    }
}

/// Waits until the words are in the file.
async fn contains(path: &Path, words: &str) {
    let has_words = |text: Vec<u8>| {
        let mut parts = text.windows(words.len());
        parts.any(|part| part == words.as_bytes())
    };
    while !fs::read(path).is_ok_and(has_words) {
        time::sleep(LOOK).await;
    }
}

/// Where ejabberd's own code is: the folder's name depends on the architecture, and
/// `ejabberdctl` knows it.
fn libraries(ejabberdctl: &Path) -> io::Result<String> {
    let script = fs::read_to_string(ejabberdctl)?;
    let line = script
        .lines()
        .find_map(|line| line.strip_prefix("ERL_LIBS="));
    let folder = line.map(|line| line.trim_matches(['\'', '"']).to_owned());
    folder.ok_or_else(|| io::Error::other("ejabberdctl names no ERL_LIBS"))
}

fn write_files(
    folder: &TempDir,
    setup: &Setup,
    domain: &BareJid,
    identity: &Identity,
    ports: Ports<3>,
    secret: &str,
) -> io::Result<()> {
    let path = folder.path();
    let both = format!("{}{}", identity.certificate_pem(), identity.key_pem());
    fs::write(path.join("both.pem"), both)?;
    fs::write(path.join("ca.pem"), identity.ca.pem())?;
    fs::write(
        path.join(CONFIG),
        config(path, setup, domain, ports, secret),
    )
}

/// Debian's configuration without what reaches beyond this machine.
fn config(folder: &Path, setup: &Setup, domain: &BareJid, ports: Ports<3>, secret: &str) -> String {
    let [start_tls, direct, api] = ports.own;
    let host = ports.host;
    let folder = folder.to_string_lossy();
    let shaper = if setup.stock_limits { "normal" } else { "none" };
    let refused = if setup.plain { "" } else { "\n  - \"plain\"" };
    let stanza_size = setup.stanza_size;
    let rooms = rooms_name(domain);
    let proxy = match ports.proxy {
        Some(port) => proxy(&proxy_name(domain), ports.at(port)),
        None => String::new(),
    };
    let starttls = match setup.encryption {
        Encryption::Offered => "starttls",
        Encryption::Required => "starttls_required",
    };
    format!(
        r#"
loglevel: info
log_rotate_count: 0
hosts:
  - "{domain}"
certfiles:
  - "{folder}/both.pem"
ca_file: "{folder}/ca.pem"
auth_password_format: plain
disable_sasl_mechanisms:
  - "digest-md5"
  - "X-OAUTH2"{refused}
s2s_access: none
listen:
  - port: {start_tls}
    ip: "{host}"
    module: ejabberd_c2s
    max_stanza_size: {stanza_size}
    shaper: c2s_shaper
    {starttls}: true
  - port: {direct}
    ip: "{host}"
    module: ejabberd_c2s
    max_stanza_size: {stanza_size}
    shaper: c2s_shaper
    tls: true
  - port: {api}
    ip: "{host}"
    module: ejabberd_http
    request_handlers:
      /{secret}: mod_http_api
api_permissions:
  "accounts":
    who:
      ip: {host}
    what:
      - register
shaper:
  normal:
    rate: 3000
    burst_size: 20000
shaper_rules:
  c2s_shaper: {shaper}
modules:
  mod_adhoc: {{}}
  mod_blocking: {{}}
  mod_caps: {{}}
  mod_carboncopy: {{}}
  mod_client_state: {{}}
  mod_disco: {{}}
  mod_http_api: {{}}
  mod_last: {{}}
  mod_muc:
    host: "{rooms}"
    access: all
    access_create: all
    access_persistent: none
    min_message_interval: 0
    min_presence_interval: 0
    room_shaper: none
    user_message_shaper: none
    user_presence_shaper: none
    default_room_options:
      allow_query_users: true
      persistent: false
  mod_offline: {{}}
  mod_ping: {{}}
  mod_privacy: {{}}
  mod_private: {{}}
  mod_pubsub:
    plugins:
      - flat
      - pep
  mod_roster:
    versioning: true
  mod_stream_mgmt:
    resend_on_timeout: if_offline
  mod_vcard:
    search: false
  mod_version: {{}}
{proxy}"#
    )
}

/// The module that is the proxy: without limits of its own.
fn proxy(name: &str, address: SocketAddr) -> String {
    let (host, port) = (address.ip(), address.port());
    format!(
        r#"  mod_proxy65:
    host: "{name}"
    hostname: "{host}"
    ip: "{host}"
    port: {port}
    max_connections: infinity
    shaper: none
"#
    )
}

/// The configuration file, in the server's folder.
const CONFIG: &str = "ejabberd.yml";

/// How long the API may take; it takes a few milliseconds, and many times that on a busy machine.
const ANSWER: Duration = Duration::from_secs(30);

/// How long it is left to write what it was told, if it cannot be seen whether it has.
const UNHURRIED: Duration = Duration::from_millis(2500);

/// Erlang's `disk_log` writes what it has cached every two seconds, and on a busy machine later; there is no
/// asking it to.
const WRITTEN: Duration = Duration::from_secs(30);

/// After which it is told something more. Longer than it usually takes to write.
const MARKED: Duration = Duration::from_secs(5);

/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(50);

/// Bytes of an answer that are read.
const ANSWER_SIZE: u64 = 65_536;
