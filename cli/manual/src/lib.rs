//! The manual pages of a program, out of the definition of its command line: what `--help`
//! says and what `man` says is one text, and a new command has its page at once.
//!
//! Both programs write theirs by `man FOLDER`, which the package is made with. Nothing here
//! knows a command of either.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use clap::Command;
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

/// What a program's pages have besides its definition.
#[derive(Clone, Copy, Debug)]
pub struct Manual<'a> {
    /// The section: "1" for what everybody runs, "8" for what only the system does.
    pub section: &'a str,
    /// Chapters of the page of the program itself.
    pub chapters: &'a [Chapter<'a>],
    /// Further pages worth a look, as a name and its section.
    pub see_also: &'a [(&'a str, &'a str)],
}

/// A list of what is named and said of it.
#[derive(Clone, Copy, Debug)]
pub struct Chapter<'a> {
    /// In capitals.
    pub heading: &'a str,
    /// Each with its name; ends of lines in the text are as good as blanks.
    pub entries: &'a [(&'a str, &'a str)],
}

impl Manual<'_> {
    /// Writes a page for the program and one for each of its commands into `folder`, which it
    /// makes if it is missing. Files are named as `man` looks for them.
    pub fn write(&self, program: Command, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut program = program.disable_help_subcommand(true);
        // Names of commands within commands, and the options of all, are there from here on.
        program.build();
        let version = program.get_version().unwrap_or_default().to_owned();
        let source = format!("{} {version}", program.get_name());
        self.page(&program, None, &source, folder)
    }

    fn page(
        &self,
        command: &Command,
        above: Option<&str>,
        source: &str,
        folder: &Path,
    ) -> io::Result<()> {
        let name = name(command);
        // In a line, as `--help` has it; what each option is comes further down.
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ").to_owned();
        let man = Man::new(command.clone().override_usage(usage))
            .section(self.section)
            .source(source)
            .manual("hostquorum");
        let mut file = fs::File::create(folder.join(man.get_filename()))?;
        man.render_title(&mut file)?;
        man.render_name_section(&mut file)?;
        man.render_synopsis_section(&mut file)?;
        man.render_description_section(&mut file)?;
        if command.get_arguments().any(|option| !option.is_hide_set()) {
            man.render_options_section(&mut file)?;
        }
        let commands = || {
            command
                .get_subcommands()
                .filter(|inner| !inner.is_hide_set())
        };
        if commands().next().is_some() {
            man.render_subcommands_section(&mut file)?;
        }
        if above.is_none() {
            for chapter in self.chapters {
                chapter.roff().to_writer(&mut file)?;
            }
        }
        self.see_also(above, commands().map(crate::name))
            .to_writer(&mut file)?;
        file.flush()?;
        for inner in commands() {
            self.page(inner, Some(&name), source, folder)?;
        }
        Ok(())
    }

    /// The page above, those below, and beside the program's own the other program's.
    fn see_also(&self, above: Option<&str>, below: impl Iterator<Item = String>) -> Roff {
        let of_ours = above.map(str::to_owned).into_iter().chain(below);
        let mut pages: Vec<(String, &str)> = of_ours.map(|page| (page, self.section)).collect();
        if above.is_none() {
            let others = self.see_also.iter();
            pages.extend(others.map(|(page, section)| ((*page).to_owned(), *section)));
        }
        let mut roff = Roff::new();
        if pages.is_empty() {
            return roff;
        }
        roff.control("SH", ["SEE ALSO"]);
        let last = pages.len() - 1;
        for (at, (page, section)) in pages.into_iter().enumerate() {
            let end = if at == last { "" } else { "," };
            roff.text([bold(page), roman(format!("({section}){end}"))]);
        }
        roff
    }
}

/// Such as `hostquorum-cluster-init`.
fn name(command: &Command) -> String {
    let name = command.get_display_name();
    name.unwrap_or_else(|| command.get_name()).to_owned()
}

impl Chapter<'_> {
    fn roff(&self) -> Roff {
        let mut roff = Roff::new();
        roff.control("SH", [self.heading]);
        for (name, text) in self.entries {
            roff.control("TP", []);
            roff.text([bold(*name)]);
            roff.text([roman(*text)]);
        }
        roff
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::{Arg, ArgAction};

    use super::*;

    fn program() -> Command {
        let verbose = Arg::new("loud")
            .long("loud")
            .action(ArgAction::SetTrue)
            .global(true)
            .env("PLAY_LOUD")
            .help("Say more");
        Command::new("play")
            .version("1.2.3")
            .about("Plays")
            .arg(verbose)
            .subcommand(
                Command::new("song")
                    .about("A song")
                    .subcommand(Command::new("sing").about("Sing it")),
            )
            .subcommand(Command::new("secret").about("Never told").hide(true))
    }

    fn pages() -> BTreeMap<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let manual = Manual {
            section: "6",
            chapters: &[Chapter {
                heading: "FILES",
                entries: &[("/etc/play", "settings\n.of its own")],
            }],
            see_also: &[("stop", "8")],
        };
        let inner = folder.path().join("not/there/yet");
        manual.write(program(), &inner).unwrap();
        let entries = fs::read_dir(inner).unwrap().map(Result::unwrap);
        let read = entries.map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        });
        read.collect()
    }

    #[test]
    fn each_command_that_is_shown_has_a_page() {
        let pages = pages();
        let names: Vec<&str> = pages.keys().map(String::as_str).collect();
        assert_eq!(names, ["play-song-sing.6", "play-song.6", "play.6"]);
    }

    #[test]
    fn pages_lead_to_each_other() {
        let pages = pages();
        let also = |page: &str| pages[page].split_once("SEE ALSO").unwrap().1.to_owned();
        assert!(also("play.6").contains("\\fBplay\\-song\\fR(6),"));
        assert!(also("play.6").contains("\\fBstop\\fR(8)"));
        assert!(also("play-song.6").contains("\\fBplay\\fR(6),"));
        assert!(also("play-song.6").contains("\\fBplay\\-song\\-sing\\fR(6)"));
        assert!(also("play-song-sing.6").contains("\\fBplay\\-song\\fR(6)"));
        assert!(!also("play-song-sing.6").contains("stop"));
    }

    #[test]
    fn a_page_tells_the_version_the_options_of_all_and_their_variables() {
        let page = &pages()["play-song-sing.6"];
        assert!(page.contains("play 1.2.3"), "{page}");
        assert!(page.contains("\\-\\-loud"), "{page}");
        assert!(page.contains("PLAY_LOUD"), "{page}");
        assert!(!page.contains("Possible values"), "{page}");
    }

    #[test]
    fn a_page_begins_with_the_usage_as_help_has_it() {
        let page = &pages()["play-song.6"];
        assert!(
            page.contains("\\fBplay song\\fR [OPTIONS] [COMMAND]"),
            "{page}"
        );
    }

    #[test]
    fn chapters_stand_on_the_first_page_only() {
        let pages = pages();
        // A line that begins with a dot would be a command.
        assert!(pages["play.6"].contains("/etc/play\\fR\nsettings\n\\&.of its own"));
        assert!(!pages["play-song.6"].contains("FILES"));
    }
}
