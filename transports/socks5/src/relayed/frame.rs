//! How bytes are framed between two of our own kind that a proxy stands between.
//!
//! ```text
//!   00 00 00               nothing: moves what a proxy holds back
//!   00 00 01               end: no data follows
//!   00 00 02 <8 bytes>     so many bytes, and the end as one, have arrived
//!   <length> <data>        length: two bytes, 1 to 65535
//! ```

/// A frame without data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Moves what a proxy holds back. Also the requester's first word, by which the responder
    /// learns that the proxy is active.
    Nothing,
    /// No data follows.
    End,
    /// The sum of what has arrived: bytes of data, and one for the end.
    Arrived(u64),
}

impl Control {
    /// The frame.
    pub fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Nothing => NOTHING.to_vec(),
            Self::End => vec![0, 0, END],
            Self::Arrived(sum) => {
                let mut frame = vec![0, 0, ARRIVED];
                frame.extend(sum.to_be_bytes());
                frame
            }
        }
    }
}

/// The frame of [`Control::Nothing`].
pub const NOTHING: [u8; 3] = [0, 0, 0];

/// The head of a frame with so many bytes of data.
pub fn head(length: u16) -> [u8; 2] {
    length.to_be_bytes()
}

/// Reads frames, however they were cut.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    /// Of the frame's beginning, what has been read.
    begun: [u8; LONGEST],
    have: usize,
    /// Data of the present frame that has not been read.
    data: usize,
}

/// What a [`Decoder`] is to be given next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// Up to so many bytes, for [`Decoder::take`].
    Begin(usize),
    /// Up to so many bytes of data: they are the stream's.
    Data(usize),
}

impl Decoder {
    /// What comes next.
    pub fn wants(&self) -> Wants {
        match self.data {
            0 => Wants::Begin(self.length_of_begin() - self.have),
            left => Wants::Data(left),
        }
    }

    /// Whether this is the place between two frames.
    pub fn is_between(&self) -> bool {
        self.have == 0 && self.data == 0
    }

    /// So much of the data was read.
    pub fn skip(&mut self, read: usize) {
        self.data = self.data.saturating_sub(read);
    }

    /// Takes no more of a frame's beginning than was [wanted](Self::wants).
    ///
    /// # Errors
    ///
    /// [`Unknown`] for a frame that does not exist.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Option<Control>, Unknown> {
        for byte in bytes {
            if let Some(place) = self.begun.get_mut(self.have) {
                *place = *byte;
            }
            self.have += 1;
        }
        if self.have < self.length_of_begin() {
            return Ok(None);
        }
        self.have = 0;
        match self.begun {
            [0, 0, kind, sum @ ..] => match kind {
                KIND_NOTHING => Ok(Some(Control::Nothing)),
                END => Ok(Some(Control::End)),
                ARRIVED => Ok(Some(Control::Arrived(u64::from_be_bytes(sum)))),
                _ => Err(Unknown),
            },
            [high, low, ..] => {
                self.data = usize::from(u16::from_be_bytes([high, low]));
                Ok(None)
            }
        }
    }

    /// How long the frame's beginning is, as far as can be told by now.
    fn length_of_begin(&self) -> usize {
        match (self.have, self.begun) {
            (0 | 1, _) => 2,
            (_, [0, 0, ARRIVED, ..]) if self.have > 2 => LONGEST,
            (_, [0, 0, ..]) => 3,
            _ => 2,
        }
    }
}

/// A frame that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an unknown frame")]
pub struct Unknown;

const KIND_NOTHING: u8 = 0;
const END: u8 = 1;
const ARRIVED: u8 = 2;

/// Bytes of the longest beginning.
const LONGEST: usize = 11;
