//! What a peer says of its key, and a server of the keys of an account.

use tubes_secure::{ability, key_of, publication};
use xmpp_parsers::minidom::Element;

use crate::xml::{element, through_text};

/// Reads an element's children as what a peer adds to a negotiation: a key that was read is written
/// as something that reads the same, and where it is said that there is one, it is not overlooked.
pub fn secure_element(data: &[u8]) {
    let Some(element) = element(data) else { return };
    let abilities: Vec<Element> = element.children().cloned().collect();
    let said = |ability: &&Element| ability.is("secure", "urn:x-tubes:0");
    let count = abilities.iter().filter(said).count();
    match key_of(&abilities) {
        Ok(None) => assert_eq!(count, 0),
        Ok(Some(key)) => {
            assert_eq!(count, 1);
            let written = through_text(&ability(key));
            assert_eq!(key_of(&[written]), Ok(Some(key)));
        }
        Err(_) => assert!(count > 0),
    }
    let announced = publication::announced(&element).unwrap_or_default();
    for devices in [announced, publication::answered(&element)] {
        assert!(devices.len() <= 16);
        let written = String::from(&publication::publication(&devices));
        let turned = written.replace("publish", "items");
        let turned = turned.parse().map(|items| publication::answered(&items));
        assert_eq!(turned.ok(), Some(devices));
    }
}
