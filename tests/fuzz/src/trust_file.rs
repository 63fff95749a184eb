//! The file in which it stands whose keys are trusted.

use tubes_secure::Contacts;

/// Reads bytes as such a file: what was read is written as something that reads the same.
pub fn trust_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(contacts) = Contacts::parse(text) else {
        return;
    };
    for (contact, devices) in contacts.iter() {
        assert!(!devices.is_empty());
        for device in devices {
            let name = device.key.fingerprint();
            let found = contacts.find(contact, name.as_str());
            assert_eq!(found.ok(), Some(device));
        }
    }
    let written = contacts.to_text().map(|text| Contacts::parse(&text));
    assert_eq!(written, Ok(Ok(contacts)));
}
