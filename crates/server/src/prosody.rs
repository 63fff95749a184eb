//! A throwaway Prosody (0.12) in a folder of its own.

use std::{ffi::OsStr, fs, io, io::Write, net::SocketAddr, path::PathBuf};

use tempfile::TempDir;
use xmpp_parsers::jid::BareJid;

use crate::{
    AccountError, ServerKind, Setup, StartError,
    ca::Identity,
    kind::find,
    probe::{self, Ports},
    setup::{Encryption, proxy_name, rooms_name},
    supervised::Supervised,
};

/// A running Prosody.
#[derive(Debug)]
pub(crate) struct Prosody {
    ports: Ports<2>,
    accounts: PathBuf,
    process: Supervised,
}

impl Prosody {
    pub(crate) async fn start(
        setup: &Setup,
        domain: &BareJid,
        identity: &Identity,
    ) -> Result<Self, StartError> {
        let program = find(ServerKind::Prosody, "prosody")?;
        let launch = |ports: Ports<2>| {
            let folder = tempfile::Builder::new()
                .prefix("tubes-prosody-")
                .tempdir()?;
            write_files(&folder, setup, domain, identity, ports)?;
            let config = folder.path().join(CONFIG);
            let arguments = [OsStr::new("--config"), config.as_os_str(), OsStr::new("-F")];
            Supervised::start(folder, &program, &arguments, &[])
        };
        let kind = ServerKind::Prosody;
        let (process, ports) = probe::start(kind, setup, domain, &identity.ca, launch).await?;
        let accounts = accounts(process.folder(), domain);
        Ok(Self {
            ports,
            accounts,
            process,
        })
    }

    pub(crate) fn process(&self) -> &Supervised {
        &self.process
    }

    pub(crate) fn process_mut(&mut self) -> &mut Supervised {
        &mut self.process
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.ports.all()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        let [start_tls, _] = self.ports.own;
        self.ports.at(start_tls)
    }

    pub(crate) fn direct_tls_address(&self) -> SocketAddr {
        let [_, direct] = self.ports.own;
        self.ports.at(direct)
    }

    pub(crate) fn proxy_address(&self) -> Option<SocketAddr> {
        Some(self.ports.at(self.ports.proxy?))
    }

    /// Prosody reads an account's file at every login, so that writing one is all it takes.
    pub(crate) fn add_account(
        &self,
        jid: &BareJid,
        name: &str,
        password: &str,
    ) -> Result<(), AccountError> {
        let mut file = tempfile::NamedTempFile::new_in(&self.accounts)?;
        writeln!(file, "return {{ [\"password\"] = {}; }};", lua(password))?;
        let path = self.accounts.join(format!("{}.dat", file_name(name)));
        match file.persist_noclobber(path) {
            Ok(_) => Ok(()),
            Err(why) if why.error.kind() == io::ErrorKind::AlreadyExists => {
                Err(AccountError::Exists(jid.to_string()))
            }
            Err(why) => Err(why.error.into()),
        }
    }
}

fn write_files(
    folder: &TempDir,
    setup: &Setup,
    domain: &BareJid,
    identity: &Identity,
    ports: Ports<2>,
) -> io::Result<()> {
    let path = folder.path();
    fs::create_dir_all(accounts(path, domain))?;
    fs::write(path.join("certificate.pem"), identity.certificate_pem())?;
    fs::write(path.join("key.pem"), identity.key_pem())?;
    fs::write(path.join(CONFIG), config(path, setup, domain, ports))
}

fn accounts(folder: &std::path::Path, domain: &BareJid) -> PathBuf {
    folder
        .join("data")
        .join(file_name(domain.as_str()))
        .join("accounts")
}

/// Debian's configuration without what reaches beyond this machine.
fn config(folder: &std::path::Path, setup: &Setup, domain: &BareJid, ports: Ports<2>) -> String {
    let [start_tls, direct] = ports.own;
    let host = ports.host;
    let folder = folder.to_string_lossy();
    let (limits_module, limits) = if setup.stock_limits {
        ("\"limits\";", "limits = { c2s = { rate = \"10kb/s\" } }")
    } else {
        ("", "")
    };
    let reads = match setup.large_reads {
        true => "network_default_read_size = 65536",
        false => "",
    };
    let refused = if setup.plain { "" } else { "\"PLAIN\"" };
    let required = setup.encryption == Encryption::Required;
    let (proxy_options, proxy) = match ports.proxy {
        Some(port) => (
            format!("proxy65_ports = {{ {port} }}; proxy65_address = \"{host}\""),
            format!("Component {} \"proxy65\"", lua(&proxy_name(domain))),
        ),
        None => Default::default(),
    };
    format!(
        r#"
run_as_root = true
data_path = {data}
pidfile = {pid}
plugin_paths = {{}}
log = {{ {{ levels = {{ min = "info" }}, to = "console" }} }}
interfaces = {{ "{host}" }}
{reads}
c2s_ports = {{ {start_tls} }}
c2s_direct_tls_ports = {{ {direct} }}
{proxy_options}
c2s_stanza_size_limit = {stanza_size}
c2s_require_encryption = {required}
modules_enabled = {{
    "disco"; "roster"; "saslauth"; "tls"; "blocklist"; "carbons"; "pep"; "private"; "smacks";
    "vcard4"; "vcard_legacy"; "csi_simple"; "ping"; "time"; "uptime"; "version"; "posix";
    {limits_module}
}}
modules_disabled = {{ "s2s" }}
{limits}
authentication = "internal_plain"
disable_sasl_mechanisms = {{ {refused} }}
storage = "internal"
ssl = {{ certificate = {certificate}, key = {key} }}
VirtualHost {domain}
{proxy}
Component {rooms} "muc"
    storage = "memory"
"#,
        data = lua(&format!("{folder}/data")),
        pid = lua(&format!("{folder}/pid")),
        certificate = lua(&format!("{folder}/certificate.pem")),
        key = lua(&format!("{folder}/key.pem")),
        stanza_size = setup.stanza_size,
        domain = lua(domain.as_str()),
        rooms = lua(&rooms_name(domain)),
    )
}

/// A string as Lua reads it, whatever is in it.
fn lua(text: &str) -> String {
    let escaped: String = text.bytes().map(|byte| format!("\\{byte:03}")).collect();
    format!("\"{escaped}\"")
}

/// A name as Prosody's data store spells it: all but ASCII letters and digits as `%xx`.
fn file_name(name: &str) -> String {
    let spell = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        other => format!("%{other:02x}"),
    };
    name.bytes().map(spell).collect()
}

/// The configuration file, in the server's folder.
const CONFIG: &str = "prosody.cfg.lua";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_names_as_the_data_store_does() {
        assert_eq!(file_name("a-b.c"), "a%2db%2ec");
        assert_eq!(file_name("é"), "%c3%a9");
    }

    #[test]
    fn a_password_cannot_end_the_string_it_stands_in() {
        assert_eq!(lua("a\"b"), r#""\097\034\098""#);
    }
}
