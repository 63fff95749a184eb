//! What a peer says it can do.

use tubes_protocol::disco::{Abilities, service_feature};
use tubes_protocol::ns;
use xmpp_parsers::disco::DiscoInfoResult;

use crate::xml::{element, through_text};

/// Takes an answer to disco#info, or a line for a feature: no more is remembered than can be
/// used, and what is remembered is what was said.
pub fn abilities(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let features: Vec<String> = match element(data).map(DiscoInfoResult::try_from) {
        Some(Ok(info)) => {
            through_text(&info.clone().into());
            info.features.into_iter().collect()
        }
        _ => text.lines().map(ToOwned::to_owned).collect(),
    };
    let abilities: Abilities = features.iter().collect();
    assert_eq!(abilities.ours, features.iter().any(|f| f == ns::KIND));
    assert_eq!(abilities.si, features.iter().any(|f| f == ns::SI));
    assert_eq!(
        abilities.tubes,
        features.iter().any(|f| f.starts_with(ns::TUBES))
    );
    assert!(abilities.services.len() <= 256);
    for service in &abilities.services {
        // No longer one can be offered.
        assert!((1..=256).contains(&service.len()));
        assert!(features.contains(&service_feature(service)));
    }
}
