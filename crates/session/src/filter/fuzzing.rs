//! Whatever a server sends, what is passed on is no more of it, and nothing the parser minds.

use super::parsed::parsed;
use super::*;

/// Filters the bytes, in which `\0` and a number repeat what stands before, so that a short
/// input is beyond every limit.
///
/// It does not matter in which pieces they arrive; what is within the limits is not changed; what
/// was passed on once is passed on as it is; and of well-formed XML remains well-formed XML of as
/// many stanzas.
pub fn filter(data: &[u8]) {
    let input = unfolded(data);
    let whole = filtered(&input, input.len());
    assert_eq!(filtered(&input, 1), whole, "byte by byte");
    assert_eq!(filtered(&input, 1 + data.len() / 2), whole, "in pieces");
    let Passed {
        output,
        result,
        losses,
        holds_nothing,
    } = whole;
    assert!(output.len() <= input.len(), "it grows");

    let again = filtered(&output, output.len());
    assert_eq!(again.losses, 0, "once is enough");
    // The last tag of what is refused may want its end.
    assert!(output.starts_with(&again.output));
    assert!(result.is_err() || again.output == output);

    let after = parsed(&output);
    assert!(after.deepest <= DEEPEST + usize::from(MOST_RESTARTS));
    match result {
        Ok(()) => {
            let before = parsed(&input);
            if before.ends {
                assert!(after.ends, "it was well-formed");
                assert_eq!(before.stanzas, after.stanzas);
            }
            if losses == 0 && input.len() < SPACIOUS {
                assert!(input.starts_with(&output), "nothing was lost");
                assert!(!holds_nothing || output == input, "nothing is held back");
            }
        }
        Err(FilterError::Malformed) => assert!(!after.ends, "the parser sees nothing wrong"),
        Err(FilterError::Oversized) => {}
    }
}

#[derive(Debug, PartialEq)]
struct Passed {
    output: Vec<u8>,
    result: Result<(), FilterError>,
    losses: u64,
    holds_nothing: bool,
}

fn filtered(input: &[u8], piece: usize) -> Passed {
    let mut filter = Filter::new();
    let mut output = Vec::new();
    let mut pieces = input.chunks(piece.max(1));
    let result = pieces.try_for_each(|piece| filter.push(piece, &mut output));
    Passed {
        output,
        result,
        losses: filter.losses(),
        holds_nothing: filter.holds_nothing(),
    }
}

/// Repeats what stands between a `\0` and the one before, up to 255 times.
fn unfolded(data: &[u8]) -> Vec<u8> {
    let mut unfolded = Vec::new();
    let mut rest = data;
    while let Some(at) = rest.iter().position(|&byte| byte == 0) {
        let (part, behind) = rest.split_at(at);
        unfolded.extend_from_slice(part);
        let times = behind.get(1).copied().unwrap_or(0);
        for _ in 0..times {
            if unfolded.len() + part.len() < LONGEST {
                unfolded.extend_from_slice(part);
            }
        }
        rest = behind.get(2..).unwrap_or_default();
    }
    unfolded.extend_from_slice(rest);
    unfolded
}

/// Beyond all limits but the one of a whole stanza, and short enough to be quick.
const LONGEST: usize = 160 * 1024;

/// In a longer tag space is left out that makes no difference.
const SPACIOUS: usize = 32 * 1024;
