//! Names of peers.

use proptest::prelude::*;
use tubes_files::{PathError, SafeName, SafePath};

fn safe(said: &str) -> String {
    SafeName::of(said).to_string()
}

#[test]
fn ordinary_names_of_every_script_stay_as_they_are() {
    for name in [
        "report.pdf",
        "Ferien & Fotos (1).tar.gz",
        "a",
        "Übergrößenträger.txt",
        "Ελληνικά.odt",
        "Русский файл.doc",
        "ქართული.txt",
        "հայերեն.txt",
        "עברית.txt",
        "العربية.txt",
        "می\u{200c}خواهم.txt",
        "हिन्दी.txt",
        "ক\u{9cd}\u{200d}ষ.txt",
        "தமிழ்.txt",
        "ภาษาไทย.txt",
        "한국어.txt",
        "日本語のファイル名.txt",
        "葛\u{e0100}城.txt",
        "中文文件.txt",
        "አማርኛ.txt",
        "ᠮᠣᠩᠭᠣᠯ.txt",
        "👩\u{200d}💻.png",
        "1\u{fe0f}\u{20e3}.png",
        "don't `do` $this; or that!.sh",
    ] {
        assert_eq!(safe(name), name);
        assert_eq!(name.parse::<SafeName>().unwrap().as_str(), name);
    }
}

#[test]
fn only_the_last_part_of_a_path_is_a_name() {
    assert_eq!(safe("../../etc/passwd"), "passwd");
    assert_eq!(safe("/etc/passwd"), "passwd");
    assert_eq!(safe("C:\\Users\\alice\\notes.txt"), "notes.txt");
    assert_eq!(safe("folder/"), "folder");
    assert_eq!(SafeName::of_part("a/b\\c").as_str(), "a_b_c");
}

#[test]
fn there_is_a_name_for_everything() {
    for said in [
        "",
        ".",
        "..",
        "/",
        "...",
        " ",
        "\u{202e}",
        "\u{3000}.",
        "\u{200d}",
    ] {
        assert_eq!(safe(said), "file", "{said:?}");
    }
}

#[test]
fn what_means_something_to_shells_or_hides_is_changed_at_the_beginning() {
    assert_eq!(safe(".bashrc"), "_bashrc");
    assert_eq!(safe("-rf"), "_rf");
    assert_eq!(safe("~root"), "_root");
    assert_eq!(safe("a.b-c~"), "a.b-c~");
}

#[test]
fn what_is_not_seen_or_turns_text_round_is_gone() {
    assert_eq!(safe("invoice\u{202e}fdp.exe"), "invoicefdp.exe");
    assert_eq!(
        safe("in\u{200b}voice\u{2066}.p\u{ad}df\u{feff}"),
        "invoice.pdf"
    );
    assert_eq!(safe("in\u{200d}voice.pdf"), "invoice.pdf");
    assert_eq!(safe("a\u{e0041}b\u{3164}"), "ab");
    assert_eq!(safe(" a .txt. "), "a .txt");
}

#[test]
fn what_a_terminal_or_windows_would_act_on_is_replaced() {
    assert_eq!(safe("a\u{1b}]0;x\u{7}.txt"), "a_]0;x_.txt");
    assert_eq!(safe("a\nb\0c\u{85}d"), "a_b_c_d");
    assert_eq!(safe("what?*<>|\"12:30"), "what______12_30");
}

#[test]
fn devices_of_windows_are_no_names() {
    for device in [
        "CON",
        "nul",
        "Aux.txt",
        "com1.tar.gz",
        "LPT³",
        "con .txt",
        "CONIN$",
    ] {
        assert_eq!(safe(device), format!("_{device}"));
    }
    for name in ["CONSOLE", "com.txt", "COM10", "lpt"] {
        assert_eq!(safe(name), name);
    }
}

#[test]
fn names_are_in_one_form_whatever_they_were_written_in() {
    assert_eq!(safe("Cafe\u{301}.txt"), "Café.txt");
    assert_eq!(safe("e\u{200b}\u{301}"), "é");
    assert_eq!(safe("\u{1112}\u{1161}\u{11ab}"), "한");
}

#[test]
fn long_names_keep_their_ending_and_whole_characters() {
    let long = safe(&format!("{}.jpeg", "ö".repeat(300)));
    assert_eq!(long.len(), 255);
    assert_eq!(long, format!("{}.jpeg", "ö".repeat(125)));
    let no_ending = safe(&format!("a.{}", "語".repeat(300)));
    assert_eq!(no_ending.len(), 254);
    // What is left is no device either.
    assert_eq!(safe(&format!("con{}x", " ".repeat(300))), "_con");
}

#[test]
fn numbers_come_before_the_ending() {
    let numbered = |name: &str| SafeName::of(name).numbered(2).to_string();
    assert_eq!(numbered("a.txt"), "a (2).txt");
    assert_eq!(numbered("a"), "a (2)");
    assert_eq!(numbered(&"語".repeat(85)).len(), 83 * 3 + " (2)".len());
}

#[test]
fn paths_lead_nowhere_but_down() {
    let path = |said: &str| said.parse::<SafePath>();
    let deep = path("a/b .txt/c:d").unwrap();
    assert_eq!(deep.to_string(), "a/b .txt/c_d");
    assert_eq!(deep.folders().len(), 2);
    for said in ["a/../b", "..", ".", "./a", "a/.."] {
        assert_eq!(path(said), Err(PathError::Relative), "{said}");
    }
    for said in ["", "/a", "a/", "a//b", "/"] {
        assert_eq!(path(said), Err(PathError::Nameless), "{said}");
    }
    assert!(path(&["a"; 32].join("/")).is_ok());
    assert_eq!(path(&["a"; 33].join("/")), Err(PathError::TooDeep));
    let long = "a".repeat(100);
    assert_eq!(path(&[&*long; 31].join("/")), Err(PathError::TooLong));
    assert_eq!(path(&"a".repeat(4000)), Err(PathError::TooLong));
    // A part that is dots in disguise is a name.
    assert_eq!(path("a/.\u{200b}./b").unwrap().to_string(), "a/file/b");
}

#[test]
fn a_wrong_name_is_told_without_what_it_would_do() {
    let wrong = "a\u{1b}[2J".parse::<SafeName>().unwrap_err();
    assert_eq!(wrong.safe.as_str(), "a_[2J");
    let told = wrong.to_string();
    assert_eq!(
        told,
        "`a\\u{1b}[2J` cannot be the name of a file everywhere: `a_[2J` can"
    );
}

/// Letters of which each means something, and any others.
fn text() -> impl Strategy<Value = String> {
    let odd = proptest::sample::select(vec![
        '.', '.', '/', '\\', ' ', '-', '~', '_', ':', '\0', '\n', '\u{7f}', 'C', 'o', 'N', '1',
        'e', '\u{301}', '\u{34f}', '\u{200c}', '\u{200d}', '\u{180e}', '\u{200b}', '\u{202e}',
        '\u{2069}', '\u{feff}', '\u{3000}', '\u{a0}', '\u{2000}', '\u{212a}', '\u{37e}',
        '\u{1fef}', '\u{fe0f}', '\u{fffe}', 'ß', 'é', '語', 'म', '\u{94d}', '\u{1100}', '\u{1161}',
        '👩',
    ]);
    let letter = prop_oneof![6 => odd, 1 => any::<char>()];
    let run = (letter, prop_oneof![9 => Just(1_usize), 1 => 1..150_usize]);
    let runs = proptest::collection::vec(run, 0..24);
    runs.prop_map(|runs| {
        let letters = runs
            .into_iter()
            .flat_map(|(letter, times)| std::iter::repeat_n(letter, times));
        letters.collect()
    })
}

fn check(name: &str) {
    assert!(!name.is_empty() && name.len() <= 255);
    assert!(!name.contains(['/', '\\', ':', '\0']) && !name.chars().any(char::is_control));
    assert!(!name.starts_with(['.', '-', '~', ' ']) && !name.ends_with(['.', ' ']));
    assert!(name.parse::<SafeName>().is_ok(), "{name:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn every_name_becomes_safe_and_stays_so(said in text()) {
        for name in [SafeName::of(&said), SafeName::of_part(&said)] {
            check(name.as_str());
            for number in [2, 1000] {
                check(name.numbered(number).as_str());
            }
        }
        if let Ok(path) = said.parse::<SafePath>() {
            assert_eq!(path.to_string().parse(), Ok(path));
        }
    }
}
