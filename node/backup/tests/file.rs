//! What was written is read; what was not is found.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

use backup::{Identities, IdentityError, ReadError, Reader, Recipient, WriteError, Writer};
use proto::backup::v1::{Frame, Key, Keys, Manifest, Piece, frame::Content};

fn someone() -> (Identities, Recipient) {
    let (file, recipient) = backup::generate();
    (file.parse().unwrap(), recipient)
}

fn manifest() -> Manifest {
    Manifest {
        version: backup::VERSION,
        cluster_id: "07".repeat(16),
        index: 12,
        hostnames: 3,
        ..Manifest::default()
    }
}

fn piece(number: u64, length: usize) -> Piece {
    Piece {
        body: number.is_multiple_of(2),
        key: number.to_be_bytes().to_vec().into(),
        value: vec![7; length].into(),
    }
}

fn written(recipients: &[Recipient], pieces: &[Piece]) -> Vec<u8> {
    let keys = Keys {
        keys: vec![Key {
            purpose: "serving".to_owned(),
            generation: 2,
            secret: vec![9; 32].into(),
        }],
    };
    let mut writer = Writer::begin(Vec::new(), recipients, manifest(), keys).unwrap();
    for piece in pieces {
        writer.piece(piece.clone()).unwrap();
    }
    writer.finish().unwrap()
}

/// All frames after the manifest.
fn frames(file: &[u8], identities: &Identities) -> Result<Vec<Frame>, ReadError> {
    let mut reader = Reader::open(file, identities)?;
    assert_eq!(reader.manifest(), &manifest());
    let mut frames = Vec::new();
    while let Some(frame) = reader.next_frame()? {
        frames.push(frame);
    }
    Ok(frames)
}

#[test]
fn what_was_written_is_read() {
    let (mine, to_me) = someone();
    let (yours, to_you) = someone();
    for (count, length) in [
        (0, 0),
        (1, 0),
        (3, 100),
        (5, backup::PART_BYTES - 8),
        (2000, 400),
    ] {
        let pieces: Vec<_> = (0..count).map(|number| piece(number, length)).collect();
        let file = written(&[to_me.clone(), to_you.clone()], &pieces);
        for identities in [&mine, &yours] {
            let frames = frames(&file, identities).unwrap();
            let mut read = Vec::new();
            for frame in &frames {
                if let Some(Content::Part(part)) = &frame.content {
                    read.extend(part.pieces.clone());
                }
            }
            assert_eq!(read, pieces);
            assert!(matches!(
                frames.first().unwrap().content,
                Some(Content::Keys(_))
            ));
            assert!(matches!(
                frames.last().unwrap().content,
                Some(Content::End(_))
            ));
        }
    }
}

#[test]
fn only_those_open_it_whom_it_is_for() {
    let (_, to_me) = someone();
    let (others, _) = someone();
    let file = written(&[to_me], &[piece(1, 10)]);
    assert!(matches!(frames(&file, &others), Err(ReadError::Identity)));
    // No key, no name and no manifest can be read from the file as it is.
    let holds = |what: &[u8]| file.windows(what.len()).any(|window| window == what);
    assert!(!holds(&[9; 32]) && !holds(b"serving") && !holds("07".repeat(16).as_bytes()));
}

#[test]
fn nothing_is_written_for_nobody() {
    let written = Writer::begin(Vec::new(), &[], manifest(), Keys::default());
    assert!(matches!(written.err(), Some(WriteError::NoRecipient)));
}

#[test]
fn every_flipped_bit_and_every_cut_is_found() {
    let (mine, to_me) = someone();
    let pieces: Vec<_> = (0..40).map(|number| piece(number, 4000)).collect();
    let file = written(&[to_me], &pieces);
    for place in (0..file.len()).step_by(997).chain([file.len() - 1]) {
        let mut flipped = file.clone();
        flipped[place] ^= 1;
        assert!(frames(&flipped, &mine).is_err(), "flipped at {place}");
        assert!(frames(&file[..place], &mine).is_err(), "cut at {place}");
    }
    let longer = [&file[..], &[0]].concat();
    assert!(frames(&longer, &mine).is_err());
}

#[test]
fn what_is_no_backup_is_told_from_one_that_is_damaged() {
    let (mine, to_me) = someone();
    let told = |file: &[u8]| frames(file, &mine).unwrap_err().to_string();
    for other in [&b""[..], b"nonsense", &[0; 500]] {
        assert!(told(other).contains("no backup"), "{}", told(other));
    }
    let newer = Manifest {
        version: 2,
        ..manifest()
    };
    let to = [to_me];
    let file = Writer::begin(Vec::new(), &to, newer, Keys::default());
    let file = file.unwrap().finish().unwrap();
    assert!(matches!(frames(&file, &mine), Err(ReadError::Version(2))));
}

#[test]
fn identities_are_read_as_age_writes_them() {
    let (file, recipient) = backup::generate();
    let text = format!("# created: 2026-11-30\n\n{}\n# end\n", &*file);
    let identities: Identities = text.parse().unwrap();
    assert!(frames(&written(&[recipient], &[]), &identities).is_ok());
    assert_eq!(
        "# nothing\n".parse::<Identities>().err(),
        Some(IdentityError::Empty)
    );
    assert_eq!(
        "\nAGE-SECRET-KEY-1X\n".parse::<Identities>().err(),
        Some(IdentityError::Line(2))
    );
    assert!("age1nonsense".parse::<Recipient>().is_err());
}
