//! Both sides of a Stream Initiation, each with a peer that follows no rules.

use arbitrary::{Result, Unstructured};
use tubes_protocol::si::{
    Requester, RequesterAction, Responder, ResponderAction, SiAnswer, SiError,
};

/// Runs both machines through what the bytes stand for: only what was offered and answered is
/// tried, at most once, and in order; and both come to an end.
pub fn si_machines(data: &[u8]) {
    let mut bytes = Unstructured::new(data);
    // Too few bytes: the run ends early.
    let _ = requester(&mut bytes).and_then(|()| responder(&mut bytes));
}

fn requester(bytes: &mut Unstructured<'_>) -> Result<()> {
    let offered = methods(bytes)?;
    let answer = SiAnswer {
        methods: methods(bytes)?,
        multiple: bytes.arbitrary()?,
        purpose: None,
        ours: bytes.arbitrary()?,
        extensions: Vec::new(),
    };
    let mut machine = Requester::new(offered.clone());
    if bytes.arbitrary()? {
        let early = machine.handle_failed(true);
        assert_eq!(early, RequesterAction::Unexpected);
    }
    let mut tried: Vec<String> = Vec::new();
    let mut action = machine.handle_answer(&answer);
    while let RequesterAction::Try(method) = action {
        assert!(offered.contains(&method) && !tried.contains(&method));
        tried.push(method);
        let again = machine.handle_answer(&answer);
        assert_eq!(again, RequesterAction::Unexpected);
        action = machine.handle_failed(bytes.arbitrary()?);
    }
    assert!(answer.multiple || tried.len() <= 1);
    // As the answer has them.
    let mut order = answer.methods.iter();
    assert!(tried.iter().all(|method| order.any(|next| next == method)));
    match action {
        RequesterAction::Exhausted | RequesterAction::Stop => {}
        other => panic!("{other:?} is no end"),
    }
    let after = machine.handle_failed(true);
    assert_eq!(after, RequesterAction::Unexpected);
    Ok(())
}

fn responder(bytes: &mut Unstructured<'_>) -> Result<()> {
    let offered = methods(bytes)?;
    let known = methods(bytes)?;
    let known: Vec<_> = known.iter().map(String::as_str).collect();
    let multiple = bytes.arbitrary()?;
    let mut machine = match Responder::new(&offered, multiple, &known) {
        Ok(machine) => machine,
        Err(why) => {
            assert_eq!(why, SiError::NoValidStreams);
            assert!(!offered.iter().any(|method| known.contains(&&**method)));
            return Ok(());
        }
    };
    let methods = machine.methods().to_vec();
    assert!(multiple || methods.len() == 1);
    let mut order = offered.iter();
    assert!(
        methods
            .iter()
            .all(|method| order.any(|next| next == method))
    );
    let mut last = None;
    for _ in 0..MOST_STEPS {
        let action = match bytes.arbitrary()? {
            true => machine.handle_stanza(method(bytes)?),
            false => machine.handle_failed(bytes.arbitrary()?),
        };
        match action {
            ResponderAction::Try(method) => {
                let place = methods.iter().position(|known| *known == method);
                assert!(place.is_some() && place > last, "it never goes back");
                last = place;
            }
            ResponderAction::Await => assert!(last < Some(methods.len() - 1)),
            ResponderAction::Exhausted => assert_eq!(last, Some(methods.len() - 1)),
            ResponderAction::Stop => assert!(last.is_some(), "nothing had failed"),
            ResponderAction::Unexpected => {}
        }
    }
    Ok(())
}

/// A few methods, in any order, some twice.
fn methods(bytes: &mut Unstructured<'_>) -> Result<Vec<String>> {
    let count = bytes.int_in_range(0..=7u8)?;
    (0..count)
        .map(|_| method(bytes).map(ToOwned::to_owned))
        .collect()
}

fn method(bytes: &mut Unstructured<'_>) -> Result<&'static str> {
    bytes.choose(&["a", "b", "c", "d", ""]).copied()
}

const MOST_STEPS: usize = 32;
