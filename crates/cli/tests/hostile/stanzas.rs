//! Where one stanza ends and the next begins.

/// Cuts a stream into its stanzas, whatever stands in them.
#[derive(Default)]
pub(crate) struct Stanzas {
    stanza: Vec<u8>,
    depth: usize,
    spot: Spot,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Default)]
enum Spot {
    #[default]
    Text,
    /// Within a tag, which began at this byte of the stanza.
    Tag { began: usize },
    /// Within the value of an attribute, up to this quotation mark.
    Value { began: usize, mark: u8 },
}

impl Stanzas {
    /// The stanzas that these bytes complete.
    pub(crate) fn cut(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut whole = Vec::new();
        for byte in bytes {
            self.stanza.push(*byte);
            self.spot = match (self.spot, *byte) {
                (Spot::Text, b'<') => Spot::Tag {
                    began: self.stanza.len(),
                },
                (Spot::Tag { began }, mark @ (b'\'' | b'"')) => Spot::Value { began, mark },
                (Spot::Value { began, mark }, byte) if byte == mark => Spot::Tag { began },
                (Spot::Tag { began }, b'>') => {
                    self.ends_tag(began);
                    if self.depth == 0 {
                        let stanza = std::mem::take(&mut self.stanza);
                        whole.push(String::from_utf8(stanza).unwrap());
                    }
                    Spot::Text
                }
                (spot, _) => spot,
            };
        }
        whole
    }

    fn ends_tag(&mut self, began: usize) {
        if self.stanza.get(began) == Some(&b'/') {
            // The stream's own end, too, leaves nothing open.
            self.depth = self.depth.saturating_sub(1);
        } else if !self.stanza.ends_with(b"/>") {
            self.depth += 1;
        }
    }
}

#[test]
fn stanzas_are_cut_wherever_the_bytes_are() {
    let one = "<iq id='1>'><a b=\"'/>\"/></iq>";
    let other = "<message><body>&lt;x/></body></message>";
    let said = format!("{one}<presence/>{other}");
    let mut stanzas = Stanzas::default();
    let cut: Vec<_> = said
        .as_bytes()
        .chunks(3)
        .flat_map(|bytes| stanzas.cut(bytes))
        .collect();
    assert_eq!(cut, [one, "<presence/>", other]);
}
