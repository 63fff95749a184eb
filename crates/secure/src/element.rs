//! What each side says of itself within `<kind/>`.
//!
//! ```xml
//! <kind xmlns='urn:x-tubes:0'>
//!   <secure key='mC4oGDD0Ffc…='/>
//! </kind>
//! ```

use thiserror::Error;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::minidom::rxml::xml_ncname;

use crate::PublicKey;

/// The name of the element.
const NAME: &str = "secure";

/// The namespace of what this project adds to the XEPs.
pub(crate) const NS: &str = "urn:x-tubes:0";

/// That this side encrypts, and with which key.
pub fn ability(key: PublicKey) -> Element {
    Element::builder(NAME, NS)
        .attr(xml_ncname!("key").into(), key.to_string())
        .build()
}

/// The key that the other side says it has, if it encrypts.
///
/// # Errors
///
/// It says that it encrypts, and not with which key; or it says so twice.
pub fn key_of(abilities: &[Element]) -> Result<Option<PublicKey>, BadSecure> {
    let mut said = abilities.iter().filter(|ability| ability.is(NAME, NS));
    let Some(secure) = said.next() else {
        return Ok(None);
    };
    if said.next().is_some() {
        return Err(BadSecure);
    }
    let key = secure.attr("key").ok_or(BadSecure)?;
    Ok(Some(key.parse().map_err(|_| BadSecure)?))
}

/// It says that it encrypts, and not with which key.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("it says that it encrypts, but not with which key")]
pub struct BadSecure;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_said() {
        let ours = PublicKey::from([7; 32]);
        assert_eq!(key_of(&[ability(ours)]), Ok(Some(ours)));
        assert_eq!(key_of(&[]), Ok(None));
        assert_eq!(key_of(&[Element::bare(NAME, "urn:example")]), Ok(None));
    }

    #[test]
    fn what_is_no_key_is_not_taken_for_none() {
        let nothing = Element::bare(NAME, NS);
        let twice = [
            ability(PublicKey::from([7; 32])),
            ability(PublicKey::from([8; 32])),
        ];
        let mut short = ability(PublicKey::from([7; 32]));
        short.set_attr(
            xmpp_parsers::minidom::rxml::Namespace::NONE,
            xml_ncname!("key").to_owned(),
            "AAAA",
        );
        for said in [&[nothing][..], &twice, &[short]] {
            assert_eq!(key_of(said), Err(BadSecure));
        }
    }
}
