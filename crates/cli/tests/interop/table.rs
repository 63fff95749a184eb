//! What is tested, as the book shows it (`docs/interop.md`).

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use crate::meeting::Transport;

/// Rows of who and to whom, and columns of transports. What it has is tested on both servers.
pub(crate) struct Table {
    rows: Vec<Row>,
}

pub(crate) struct Row {
    who: String,
    transports: &'static [Transport],
}

impl Row {
    pub(crate) fn new(who: String, transports: &'static [Transport]) -> Self {
        Self { who, transports }
    }
}

impl Table {
    pub(crate) fn new(rows: impl Iterator<Item = Row>) -> Self {
        Self {
            rows: rows.collect(),
        }
    }

    /// Shows it to whoever runs the tests, and compares it with what the book has.
    pub(crate) fn assert_in_the_book(&self) {
        // Not by `println`, which shows what failing tests say.
        let shown = format!("{self}\n");
        io::stdout().write_all(shown.as_bytes()).unwrap();
        let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/interop.md");
        let book = fs::read_to_string(book).unwrap();
        assert!(
            book.contains(&self.to_string()),
            "docs/interop.md lacks\n{self}"
        );
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Transport::ALL.map(Transport::name);
        writeln!(f, "| | {} |", names.join(" | "))?;
        writeln!(f, "|---|---|---|---|")?;
        for Row { who, transports } in &self.rows {
            let tested = |transport| match transports.contains(&transport) {
                true => "Prosody, ejabberd",
                false => "–",
            };
            writeln!(f, "| {who} | {} |", Transport::ALL.map(tested).join(" | "))?;
        }
        Ok(())
    }
}
