//! What is to be seen on a desktop: as little of VNC's protocol (RFC 6143) as that takes.

use std::ops::Range;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tubes::Address;

use crate::stage::{Stream, connect, patiently};

/// A desktop's picture, kept up to date by its VNC server.
pub(super) struct Screen {
    server: Stream,
    width: usize,
    height: usize,
    /// Blue, green, red and nothing, of each pixel.
    pixels: Vec<u8>,
}

impl Screen {
    /// The screen of a desktop without password, as it is now.
    pub(super) async fn of(address: &Address) -> Self {
        let server = connect(address).await.unwrap();
        let mut screen = Self {
            server,
            width: 0,
            height: 0,
            pixels: Vec::new(),
        };
        patiently("the screen is seen", screen.begin()).await;
        screen
    }

    /// How many pixels have this colour: red, green and blue.
    pub(super) fn pixels_of(&self, [red, green, blue]: [u8; 3]) -> usize {
        let pixels = self.pixels.chunks_exact(4);
        pixels
            .filter(|pixel| pixel[..3] == [blue, green, red])
            .count()
    }

    /// Waits until at least half of the pixels have this colour.
    pub(super) async fn shows(&mut self, colour: [u8; 3]) {
        while self.pixels_of(colour) < self.width * self.height / 2 {
            // Answered when something has changed.
            self.ask(Wanted::Changes).await;
            self.update().await;
        }
    }

    async fn begin(&mut self) {
        let version = self.read(12).await;
        assert!(version.starts_with(b"RFB 003."), "{version:?}");
        self.write(b"RFB 003.008\n").await;
        let count = self.read(1).await[0];
        let security = self.read(count.into()).await;
        assert!(security.contains(&NO_PASSWORD), "{security:?}");
        self.write(&[NO_PASSWORD]).await;
        assert_eq!(self.read(4).await, [0; 4], "it lets in");
        // Others may look at it, too.
        self.write(&[1]).await;
        let size = self.read(4).await;
        [self.width, self.height] = [number(&size[..2]), number(&size[2..])];
        self.pixels = vec![0; self.width * self.height * 4];
        self.read(16).await;
        let name = self.read(4).await;
        self.read(number(&name)).await;
        self.write(&PIXEL_FORMAT).await;
        self.write(&RAW_ENCODING).await;
        self.ask(Wanted::Everything).await;
        self.update().await;
    }

    async fn ask(&mut self, wanted: Wanted) {
        let mut question = vec![3, wanted as u8, 0, 0, 0, 0];
        for length in [self.width, self.height] {
            question.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        self.write(&question).await;
    }

    /// Takes the next update, whatever else is said before.
    async fn update(&mut self) {
        loop {
            match self.read(1).await[0] {
                0 => break,
                // It rings.
                2 => {}
                3 => {
                    let length = self.read(7).await;
                    self.read(number(&length[3..])).await;
                }
                other => panic!("the VNC server says {other}"),
            }
        }
        let count = self.read(3).await;
        for _ in 0..number(&count[1..]) {
            let head = self.read(12).await;
            assert_eq!(head[8..], [0; 4], "it is raw");
            let [x, y, width, height] = [0, 2, 4, 6].map(|at| number(&head[at..at + 2]));
            for row in y..y + height {
                let there = self.place(row, x..x + width);
                let colours = self.read(there.len()).await;
                self.pixels[there].copy_from_slice(&colours);
            }
        }
    }

    /// Where these columns of a row are.
    fn place(&self, row: usize, columns: Range<usize>) -> Range<usize> {
        let begin = row * self.width;
        (begin + columns.start) * 4..(begin + columns.end) * 4
    }

    async fn read(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.server.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.server.write_all(bytes).await.unwrap();
    }
}

/// What to tell of the screen.
enum Wanted {
    Everything = 0,
    Changes = 1,
}

/// A number as it is on the wire.
fn number(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .fold(0, |sum, byte| (sum << 8) | usize::from(*byte))
}

const NO_PASSWORD: u8 = 1;

/// Four bytes a pixel, the blue one first.
const PIXEL_FORMAT: [u8; 20] = [
    0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0,
];

/// Pixels as they are, and nothing else.
const RAW_ENCODING: [u8; 8] = [2, 0, 0, 1, 0, 0, 0, 0];
