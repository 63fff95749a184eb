//! `tubes man`: the manual pages, made of what `--help` says.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;

use crate::args::{Args, Man};
use crate::exit::{Kind, Stop};

pub(crate) fn run(man: &Man) -> Result<(), Stop> {
    // With names as they are typed: `tubes offer`.
    let mut command = Args::command().disable_help_subcommand(true);
    command.build();
    match &man.into {
        None => Ok(io::stdout().lock().write_all(&page(&command)?)?),
        Some(folder) => {
            write(folder, &command)?;
            command
                .get_subcommands()
                .try_for_each(|command| write(folder, command))
        }
    }
}

fn write(folder: &Path, command: &clap::Command) -> Result<(), Stop> {
    let page = page(command)?;
    let name = command
        .get_display_name()
        .unwrap_or_else(|| command.get_name());
    let path = folder.join(format!("{name}.1"));
    fs::write(&path, page).map_err(|why| {
        let path = path.display();
        Stop::failed(Kind::Io, format!("cannot write {path}: {why}"))
    })
}

fn page(command: &clap::Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    Ok(page)
}
