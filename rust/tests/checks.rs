//! Bodies of the fuzz targets over a generated corpus: random bytes, and sentences of the tokens in
//! `fuzz/imap.dict`, which reach deep into the grammar.
#![allow(clippy::expect_used, clippy::indexing_slicing)] // tests and their helpers may panic

use imapvm_core::checks;
use proptest::prelude::*;

/// Return the tokens of the dictionary, unescaped.
fn tokens() -> Vec<Vec<u8>> {
    include_str!("../fuzz/imap.dict")
        .lines()
        .filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'))
        .map(|token| {
            let mut bytes = Vec::new();
            let mut characters = token.chars();
            while let Some(character) = characters.next() {
                match (character, characters.clone().next()) {
                    ('\\', Some('x')) => {
                        let hex: String = characters.by_ref().skip(1).take(2).collect();
                        bytes.push(u8::from_str_radix(&hex, 16).expect("two digits"));
                    }
                    ('\\', _) => bytes.push(characters.next().expect("an escape") as u8),
                    (plain, _) => bytes.push(plain as u8),
                }
            }
            bytes
        })
        .collect()
}

/// Valid commands.
const COMMANDS: [&str; 28] = [
    "NOOP",
    "ID (\"a\" NIL \"b\" \"c\\\"\\\\\")",
    "AUTHENTICATE PLAIN AGEAYg==",
    "AUTHENTICATE PLAIN =",
    "LOGIN a {3+}\r\nb\rc",
    "LOGIN {1}\r\na {1}\r\nb",
    "ENABLE A B",
    "SELECT &AOk- (CONDSTORE QRESYNC (1 2 3:4 (5 6)))",
    "EXAMINE x (QRESYNC (1 2 (5 6)))",
    "CREATE x (USE (\\Sent \\Other))",
    "RENAME inbox y",
    "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (% *) RETURN (CHILDREN STATUS (MESSAGES))",
    "LIST \"\" \"&AO*\"",
    "LSUB \"\" %",
    "STATUS x (SIZE)",
    "UID EXPUNGE 1:*",
    "UID FETCH 1 (BODY[1.HEADER.FIELDS.NOT (a b)]<1.2> BINARY[] BINARY.SIZE[1.2] PREVIEW) \
     (CHANGEDSINCE 1 VANISHED)",
    "FETCH $ FULL",
    "UID STORE 1 (UNCHANGEDSINCE 3) -FLAGS.SILENT (\\Draft x)",
    "MOVE 1 y",
    "SEARCH RETURN () OR (NEW OLD) NOT SENTSINCE 1-Jan-0001 HEADER a {2+}\r\n\r\n EMAILID x",
    "SEARCH CHARSET NONE FROM x",
    "UID SORT RETURN (MIN SAVE) (REVERSE DATE DISPLAYFROM) UTF-8 NOT FROM {2+}\r\n\r\n",
    "THREAD REFERENCES NONE ALL",
    "APPEND x () \"31-Dec-9999 23:59:59 +2359\" UTF8 (~{3}\r\nabc)",
    "APPEND x (\\Seen) \"01-Jan-0001 00:00:00 -0030\" {3+}\r\nabc {1+}\r\nd",
    "IDLE\r\nDONE",
    "IDLE",
];

/// Lines that start with a tag: changed commands, or random tokens.
fn sentences() -> impl Strategy<Value = Vec<u8>> {
    let token = prop::sample::select(tokens());
    let noise = prop::collection::vec(any::<u8>(), 0..4);
    let word = prop_oneof![8 => token, 1 => noise].boxed();
    let random = prop::collection::vec(word.clone(), 0..8).prop_map(|words| words.concat());
    let edit = (any::<prop::sample::Index>(), 0_usize..4, word);
    let edited = (
        prop::sample::select(&COMMANDS[..]),
        prop::collection::vec(edit, 0..3),
    )
        .prop_map(|(command, edits)| {
            let mut line = command.as_bytes().to_vec();
            for (at, removed, inserted) in edits {
                let from = at.index(line.len() + 1);
                let to = (from + removed).min(line.len());
                line.splice(from..to, inserted);
            }
            line
        });
    let line = prop_oneof![1 => random, 2 => edited];
    prop::collection::vec(line, 1..4).prop_map(|lines| {
        let whole = |line: &Vec<u8>| [b"a ", line.as_slice(), b"\r\n"].concat();
        lines.iter().flat_map(whole).collect()
    })
}

#[test]
fn the_dictionary_is_read() {
    let tokens = tokens();
    assert!(tokens.len() > 90);
    assert!(tokens.contains(&b"{3+}\r\n".to_vec()) && tokens.contains(&b"\\\"".to_vec()));
    assert!(tokens.contains(&b" (USE (\\Sent))".to_vec()));
}

#[test]
fn every_command_round_trips() {
    for line in COMMANDS {
        checks::commands_round_trip(format!("a {line}\r\n").as_bytes());
    }
}

/// Count the sentences that are commands: the corpus is worthless if there are few.
#[test]
fn enough_sentences_are_commands() {
    use imapvm_core::wire::command::Event;
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut commands = 0;
    for _ in 0..2_000 {
        let bytes = sentences()
            .new_tree(&mut runner)
            .expect("a sentence")
            .current();
        let mut reader = imapvm_core::wire::reader::Reader::default();
        reader.feed(&bytes);
        while let Some(event) = reader.next() {
            commands += usize::from(matches!(event, Event::Command(_)));
        }
    }
    assert!(commands > 100, "only {commands}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn frames_rejoin(choice in any::<u8>(), at in any::<u8>(), sent in sentences()) {
        checks::frames_rejoin(&[&[choice, at], &sent[..]].concat());
    }

    #[test]
    fn frames_of_any_bytes_rejoin(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        checks::frames_rejoin(&bytes);
    }

    #[test]
    fn commands_round_trip(sent in sentences()) {
        checks::commands_round_trip(&sent);
    }

    #[test]
    fn names_round_trip(bytes in prop::collection::vec(any::<u8>(), 0..20), name in any::<String>()) {
        checks::names_round_trip(&bytes);
        checks::names_round_trip(name.as_bytes());
        checks::names_round_trip(&imapvm_core::wire::names::encode_utf7(&name));
    }

    #[test]
    fn sets_round_trip(text in "[0-9:*,$]{0,12}") {
        checks::sets_round_trip(text.as_bytes());
    }

    #[test]
    fn answers_stay_lines(bytes in prop::collection::vec(any::<u8>(), 0..40), text in any::<String>()) {
        checks::answers_stay_lines(&bytes);
        checks::answers_stay_lines(text.as_bytes());
    }

    #[test]
    fn dots_rejoin(bytes in "[.\r\na]{0,30}") {
        checks::dots_rejoin(bytes.as_bytes());
    }
}
