//! What stands between tags: text, CDATA sections and the XML declaration.

use memchr::{memchr, memrchr2};

use crate::filter::{Filter, FilterError, Spot};

impl Filter {
    pub(super) fn text(&mut self, input: &[u8], output: &mut Vec<u8>) -> usize {
        let found = memchr(b'<', input);
        let end = found.unwrap_or(input.len());
        let run = input.get(..end).unwrap_or_default();
        if self.is_passing() {
            self.content(run, output, |run, before| match memrchr2(b'&', b';', run) {
                Some(at) => run.get(at) == Some(&b'&'),
                None => before,
            });
        }
        match found {
            Some(_) => {
                self.stanza.in_reference = false;
                self.spot = Spot::Markup;
                end + 1
            }
            None => end,
        }
    }

    /// In `<![CDATA[`; no other declaration is allowed (RFC 6120 §11.1).
    pub(super) fn bang(
        &mut self,
        read: usize,
        byte: u8,
        output: &mut Vec<u8>,
    ) -> Result<usize, FilterError> {
        if CDATA_BEGINS.get(read) != Some(&byte) {
            return self.stray(CDATA_BEGINS, read, byte, output);
        }
        let read = read + 1;
        self.spot = Spot::Bang(read);
        if read == CDATA_BEGINS.len() {
            self.spot = Spot::CData(0);
            if self.is_passing() {
                self.pass(CDATA_BEGINS, output);
            }
        }
        Ok(1)
    }

    pub(super) fn cdata(&mut self, brackets: u8, input: &[u8], output: &mut Vec<u8>) -> usize {
        let (run, brackets) = match input {
            [b'>', ..] if brackets == 2 => {
                self.spot = Spot::Text;
                if self.is_passing() {
                    self.pass(b">", output);
                }
                return 1;
            }
            [b']', ..] => (1, brackets.saturating_add(1).min(2)),
            _ => (memchr(b']', input).unwrap_or(input.len()), 0),
        };
        self.spot = Spot::CData(brackets);
        if self.is_passing() {
            self.content(input.get(..run).unwrap_or_default(), output, |_, _| false);
            if self.stanza.full {
                output.extend_from_slice(CDATA_ENDS);
            }
        }
        run
    }

    /// In `<?xml`; no other instruction is allowed (RFC 6120 §11.1).
    pub(super) fn question(
        &mut self,
        read: usize,
        byte: u8,
        output: &mut Vec<u8>,
    ) -> Result<usize, FilterError> {
        match DECLARATION.get(read) {
            Some(&expected) if byte == expected => self.spot = Spot::Question(read + 1),
            None if byte.is_ascii_whitespace() && self.depth < 2 => {
                if self.depth == 1 {
                    self.restart()?;
                }
                self.pass(DECLARATION, output);
                self.pass(&[byte], output);
                self.spot = Spot::Declaration(false);
            }
            _ => return self.stray(DECLARATION, read, byte, output),
        }
        Ok(1)
    }

    /// The parser is to see, too, what it cannot take.
    fn stray(
        &self,
        markup: &[u8],
        read: usize,
        byte: u8,
        output: &mut Vec<u8>,
    ) -> Result<usize, FilterError> {
        if self.is_passing() {
            output.extend_from_slice(markup.get(..read).unwrap_or(markup));
            output.push(byte);
        }
        Err(FilterError::Malformed)
    }

    pub(super) fn pass(&mut self, bytes: &[u8], output: &mut Vec<u8>) {
        self.stanza.bytes = self.stanza.bytes.saturating_add(bytes.len());
        output.extend_from_slice(bytes);
    }

    /// Passes text on until the stanza is full, and then up to the end of the character or of
    /// the reference. `ends_in_reference` says whether a run does, given what was before it.
    fn content(
        &mut self,
        run: &[u8],
        output: &mut Vec<u8>,
        ends_in_reference: impl Fn(&[u8], bool) -> bool,
    ) {
        let room = match self.depth {
            // The parser keeps nothing of what is between stanzas.
            0 | 1 => usize::MAX,
            _ => MOST_BYTES.saturating_sub(self.stanza.bytes),
        };
        let (fits, excess) = run.split_at_checked(room).unwrap_or((run, &[]));
        self.stanza.in_reference = ends_in_reference(fits, self.stanza.in_reference);
        self.pass(fits, output);
        for &byte in excess {
            let continues = byte & 0xc0 == 0x80;
            if !self.stanza.in_reference && !continues {
                self.losses += 1;
                return self.fill();
            }
            self.stanza.in_reference &= byte != b';';
            self.pass(&[byte], output);
        }
    }
}

/// Bytes of a stanza, its tags included. Servers as they come take 256 KiB of a client, and 512 KiB of
/// another server. The largest block of in-band data takes 86 KiB, and rosters of thousands fit.
pub(super) const MOST_BYTES: usize = 512 * 1024;

const CDATA_BEGINS: &[u8] = b"<![CDATA[";
const CDATA_ENDS: &[u8] = b"]]>";
const DECLARATION: &[u8] = b"<?xml";
