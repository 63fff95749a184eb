//! `tubes trust`: whose keys are trusted. Works on files alone, also while other commands run.

use std::io::{self, IsTerminal};

use tubes::secure::{TrustStore, safety_number};
use tubes::{BareJid, state_folder};

use crate::args::{Global, NamedDevice, Trust, TrustCommand};
use crate::config;
use crate::exit::{Kind, Stop};
use crate::output::{Device, Output, Report};

pub(crate) fn run(global: &Global, trust: &Trust) -> Result<(), Stop> {
    let account = config::account(global)?;
    let folder = state_folder();
    let folder = folder.ok_or_else(|| Stop::failed(Kind::Io, "there is no home directory"))?;
    let keys = Keys {
        store: TrustStore::open(&folder, &account)?,
        account,
        output: Output::new(global.output),
    };
    match &trust.command {
        TrustCommand::List { contact } => keys.list(contact.as_ref()),
        TrustCommand::Verify { device, same } => keys.verify(device, *same),
        TrustCommand::Accept { contact, key } => {
            keys.show(contact, &keys.store.accept(contact, *key)?)
        }
        TrustCommand::Revoke(device) => keys.show(
            &device.contact,
            &keys.store.revoke(&device.contact, &device.key)?,
        ),
    }
}

/// The keys that an account knows.
struct Keys {
    store: TrustStore,
    account: BareJid,
    output: Output,
}

impl Keys {
    fn list(&self, of: Option<&BareJid>) -> Result<(), Stop> {
        if of.is_none() {
            self.output.report(&Report::Device(Device {
                jid: self.account.to_string(),
                key: self.store.identity().public().fingerprint().to_string(),
                standing: "own",
                first_seen: None,
            }))?;
        }
        let contacts = self.store.contacts()?;
        for (contact, devices) in contacts.iter() {
            if of.is_some_and(|of| of != contact) {
                continue;
            }
            for device in devices {
                self.output
                    .report(&Report::Device(Device::of(contact, device)))?;
            }
        }
        Ok(())
    }

    fn verify(&self, named: &NamedDevice, same: bool) -> Result<(), Stop> {
        if same && named.key.len() != WHOLE {
            return Err(Stop::Usage(
                "--same wants the whole key that was compared: another one may begin likewise, or \
                 have come since"
                    .to_owned(),
            ));
        }
        let contacts = self.store.contacts()?;
        let device = contacts.find(&named.contact, &named.key);
        let device = device.map_err(|why| Stop::Usage(why.to_string()))?;
        let key = device.key.fingerprint();
        self.output.report(&Report::SafetyNumber {
            contact: named.contact.to_string(),
            key: key.to_string(),
            number: safety_number(self.store.identity().public(), device.key),
        })?;
        if !same && !self.ask(&named.contact)? {
            return Ok(());
        }
        // The device that was shown, whatever has been added meanwhile.
        let verified = self.store.verify(&named.contact, key.as_str())?;
        self.show(&named.contact, &verified)
    }

    /// Whether people see the same. Where nobody can be asked nothing is decided.
    fn ask(&self, contact: &BareJid) -> Result<bool, Stop> {
        if self.output.is_json() || !io::stdin().is_terminal() {
            return Ok(false);
        }
        self.output.remark(&format!(
            "call {contact}, or meet; `tubes trust verify` shows the number there, too. Is it the \
             same? Type yes:"
        ))?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(answer.trim() == "yes")
    }

    fn show(&self, contact: &BareJid, device: &tubes::secure::Device) -> Result<(), Stop> {
        self.output
            .report(&Report::Device(Device::of(contact, device)))
    }
}

/// Digits of a key.
const WHOLE: usize = 64;
